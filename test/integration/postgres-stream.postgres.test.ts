import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { isBusError } from '../../src/protocol/errors.ts';
import { lsn, lsnFromPostgres } from '../../src/protocol/lsn.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import type { DecodedCall } from '../support/decoded-call.ts';
import { eventually } from '../support/eventually.ts';
import { type SourceFixture, sourceFixture } from '../support/source-fixture.ts';

for (const major of [15, 18] as const) {
  describe(`the stream of PostgreSQL ${major}`, { timeout: 120_000 }, () => {
    let server: PostgresServer;
    before(async () => {
      server = await startPostgres({ major });
    });
    after(async () => {
      await server.stop();
    });

    async function withFixture(body: (fixture: SourceFixture) => Promise<void>): Promise<void> {
      const fixture = await sourceFixture(server.url);
      try {
        await body(fixture);
      } finally {
        await fixture.close();
      }
    }

    test('carries every row of a COPY, in one transaction, and nothing of a savepoint that was rolled back', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
        await fixture.publish('t');
        const recorded = await fixture.stream();
        await fixture.run(`COPY t FROM PROGRAM 'seq 1 200'`);
        await fixture.sql.transaction(async (sql) => {
          await sql.query('INSERT INTO t VALUES (201)');
          await sql.query('SAVEPOINT s');
          await sql.query('INSERT INTO t VALUES (999)');
          await sql.query('ROLLBACK TO s');
          await sql.query('INSERT INTO t VALUES (202)');
        });
        const ids = (await recorded.changes(2)).map((change) => (change.call === 'insert' ? change.row[0] : undefined));
        assert.deepEqual(
          ids,
          Array.from({ length: 202 }, (_, i) => String(i + 1)),
        );
        assert.equal(recorded.count('begin'), 2);
      });
    });

    test('names what a TRUNCATE emptied, and what it was asked to', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE a (id int PRIMARY KEY)', 'CREATE TABLE b (id int PRIMARY KEY REFERENCES a)');
        await fixture.publish('a', 'b');
        const recorded = await fixture.stream();
        await fixture.run('TRUNCATE a RESTART IDENTITY CASCADE');
        const [truncate] = await recorded.changes(1);
        const { schema } = fixture;
        assert.deepEqual(truncate, {
          call: 'truncate',
          tables: [`${schema}.a`, `${schema}.b`],
          cascade: true,
          restartIdentity: true,
        });
      });
    });

    test('gives old and new key of a key change, the old row under FULL, and tells an unchanged TOASTed value from null', async () => {
      await withFixture(async (fixture) => {
        await fixture.run(
          'CREATE TABLE k (id int PRIMARY KEY, org int, big text)',
          'ALTER TABLE k ALTER big SET STORAGE EXTERNAL',
          'CREATE TABLE f (id int PRIMARY KEY, org int)',
          'ALTER TABLE f REPLICA IDENTITY FULL',
          `INSERT INTO k VALUES (1, 7, repeat('x', 5000))`,
          'INSERT INTO f VALUES (1, 7)',
        );
        await fixture.publish('k', 'f');
        const recorded = await fixture.stream();
        await fixture.run(
          'UPDATE k SET org = NULL',
          'UPDATE k SET id = 2',
          'UPDATE f SET org = 8',
          'DELETE FROM k',
          'DELETE FROM f',
        );
        const [k, f] = [`${fixture.schema}.k`, `${fixture.schema}.f`];
        const expected: DecodedCall[] = [
          { call: 'update', table: k, old: null, oldKind: 'none', row: ['1', null, undefined] },
          { call: 'update', table: k, old: ['1', null, null], oldKind: 'key', row: ['2', null, undefined] },
          { call: 'update', table: f, old: ['1', '7'], oldKind: 'full', row: ['1', '8'] },
          { call: 'delete', table: k, old: ['2', null, null], oldKind: 'key' },
          { call: 'delete', table: f, old: ['1', '8'], oldKind: 'full' },
        ];
        assert.deepEqual(await recorded.changes(5), expected);
      });
    });

    test('prints a uuid in lower case, however it was written', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE u (id uuid PRIMARY KEY)');
        await fixture.publish('u');
        const recorded = await fixture.stream();
        await fixture.run(`INSERT INTO u VALUES ('{A0EEBC99-9C0B4EF8-BB6D6BB9-BD380A11}')`);
        const [insert] = await recorded.changes(1);
        assert.deepEqual(insert?.call === 'insert' && insert.row, ['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11']);
      });
    });

    test('describes a table again after an ALTER in the middle of the stream, also for rows that wait in the slot', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY, a int)');
        await fixture.publish('t');
        await fixture.run(
          'INSERT INTO t VALUES (1, 10)',
          'ALTER TABLE t DROP COLUMN a, ADD COLUMN b text',
          'ALTER TABLE t RENAME TO renamed',
        );
        const recorded = await fixture.stream();
        await fixture.run(`INSERT INTO renamed VALUES (2, 'x')`, `ALTER TABLE renamed ADD c int DEFAULT 5`);
        await fixture.run(`INSERT INTO renamed VALUES (3, 'y')`);
        const { schema } = fixture;
        assert.deepEqual(await recorded.changes(3), [
          { call: 'insert', table: `${schema}.t`, row: ['1', '10'] },
          { call: 'insert', table: `${schema}.renamed`, row: ['2', 'x'] },
          { call: 'insert', table: `${schema}.renamed`, row: ['3', 'y', '5'] },
        ]);
        const ids = recorded.calls.map((call) => (call.call === 'relation' ? call.relation.id : undefined));
        assert.equal(new Set(ids.filter((id) => id !== undefined)).size, 1, 'a rename keeps the id');
      });
    });

    test('names the leaf of a partitioned table, one attached meanwhile too, and nothing of it once it is detached', async () => {
      await withFixture(async (fixture) => {
        await fixture.run(
          'CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id)',
          'CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)',
          'CREATE TABLE p2 (id int PRIMARY KEY)',
        );
        await fixture.publish('p');
        const recorded = await fixture.stream();
        await fixture.run(
          'INSERT INTO p VALUES (1)',
          'INSERT INTO p2 VALUES (11)',
          'ALTER TABLE p ATTACH PARTITION p2 FOR VALUES FROM (10) TO (20)',
          'INSERT INTO p VALUES (12)',
          'TRUNCATE p2',
          'ALTER TABLE p DETACH PARTITION p2',
          'INSERT INTO p2 VALUES (13)',
          'INSERT INTO p VALUES (2)',
        );
        const { schema } = fixture;
        await eventually('the last row', () =>
          recorded.calls.some((call) => call.call === 'insert' && call.row[0] === '2'),
        );
        assert.deepEqual(await recorded.changes(4), [
          { call: 'insert', table: `${schema}.p1`, row: ['1'] },
          { call: 'insert', table: `${schema}.p2`, row: ['12'] },
          { call: 'truncate', tables: [`${schema}.p2`], cascade: false, restartIdentity: false },
          { call: 'insert', table: `${schema}.p1`, row: ['2'] },
        ]);
      });
    });

    test('passes on a transactional message inside its transaction, and one outside at once', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
        await fixture.publish('t');
        const recorded = await fixture.stream();
        await fixture.sql.transaction(async (sql) => {
          await sql.query('INSERT INTO t VALUES (1)');
          await sql.query(`SELECT pg_logical_emit_message(true, 'afterwrite', '{"keys":[]}')`);
          await sql.query(`SELECT pg_logical_emit_message(false, 'afterwrite', 'now')`);
        });
        await recorded.changes(1);
        const order = recorded.calls.filter((call) => call.call !== 'keepalive').map(({ call }) => call);
        assert.deepEqual(order, ['message', 'begin', 'relation', 'insert', 'message', 'commit']);
        const messages = recorded.calls.flatMap((call) => (call.call === 'message' ? [call.content] : []));
        assert.deepEqual(messages, ['now', '{"keys":[]}']);
      });
    });

    test('tells an idle relay how far the WAL is decoded, and lets the slot advance under traffic that is not published', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)', 'CREATE TABLE other (id int)');
        await fixture.publish('t');
        const before = lsnFromPostgres(await fixture.confirmedLsn());
        const recorded = await fixture.stream();
        await fixture.run('INSERT INTO other SELECT generate_series(1, 1000)');
        const [now] = await fixture.sql.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
        const target = lsnFromPostgres(now?.lsn ?? '');
        const walEnd = await eventually('a keepalive beyond the traffic', () => {
          recorded.stream.requestKeepalive();
          return recorded.calls.find((call) => call.call === 'keepalive' && call.walEnd >= target);
        });
        assert.ok(walEnd.call === 'keepalive');
        assert.equal(recorded.count('begin'), 0);
        recorded.stream.confirm({ write: walEnd.walEnd, flush: walEnd.walEnd });
        await eventually(
          'the slot advances',
          async () => lsnFromPostgres(await fixture.confirmedLsn()) === walEnd.walEnd,
        );
        assert.ok(walEnd.walEnd > before);
      });
    });

    test('repeats all that was not confirmed, and nothing that was', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
        await fixture.publish('t');
        const first = await fixture.stream();
        await fixture.run('INSERT INTO t VALUES (1)', 'INSERT INTO t VALUES (2)');
        await first.changes(2);
        const [commit] = first.calls.filter((call) => call.call === 'commit');
        assert.ok(commit?.call === 'commit');
        first.stream.confirm({ write: lsn(commit.endLsn), flush: lsn(commit.endLsn) });
        await first.stream.stop();
        const second = await fixture.stream();
        const changes = await second.changes(1);
        assert.deepEqual(
          changes.map((change) => change.call === 'insert' && change.row[0]),
          ['2'],
        );
      });
    });

    test('reads no further than its block once it is paused, stays alive, and reads on where it stood', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY, filler text)');
        await fixture.publish('t');
        const recorded = await fixture.stream();
        // Paused from within the stream, in the middle of a burst, as a full relay does it.
        recorded.onCall = (call) => {
          if (call.call === 'insert' && call.row[0] === '5000') recorded.stream.pause();
        };
        await fixture.run(`INSERT INTO t SELECT i, repeat('x', 200) FROM generate_series(1, 20000) i`);
        const replyAt = async (): Promise<string | undefined> => {
          const text = 'SELECT reply_time::text AS at FROM pg_stat_replication WHERE application_name = $1';
          const rows = await fixture.sql.query<{ at: string }>(text, [`afterwrite-relay-${fixture.schema}`]);
          return rows[0]?.at;
        };
        await eventually('the pause', () => recorded.count('insert') >= 5000);
        const before = await replyAt();
        await eventually('a status while paused', async () => (await replyAt()) !== before);
        assert.ok(recorded.count('insert') < 5000 + 500, `${recorded.count('insert')} rows were read`);
        recorded.stream.resume();
        assert.equal((await recorded.changes(1)).length, 20_000);
      });
    });

    test('delivers a lone commit at once', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
        await fixture.publish('t');
        const recorded = await fixture.stream();
        const waits: number[] = [];
        for (let id = 1; id <= 21; id += 1) {
          await fixture.run(`INSERT INTO t VALUES (${id})`);
          const committedAtMs = performance.now();
          await eventually('the commit', () => recorded.count('commit') >= id);
          waits.push(performance.now() - committedAtMs);
        }
        const median = waits.toSorted((a, b) => a - b)[10] ?? Infinity;
        assert.ok(median < 50, `half of the commits took more than ${median} ms`);
      });
    });

    test('says which code a slot that is held or missing has', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
        await fixture.publish('t');
        const holder = await fixture.stream();
        await assert.rejects(fixture.stream(), (error) => isBusError(error, 'POSTGRES_SLOT_ACTIVE'));
        await holder.stream.stop();
        assert.equal(await holder.stream.ended, 'closed');
        await fixture.slotsAreFree();
        const next = await fixture.stream();
        await next.stream.stop();
        await fixture.slotsAreFree();
        await fixture.run(`SELECT pg_drop_replication_slot('${fixture.slotName}')`);
        await assert.rejects(fixture.stream(), (error) => isBusError(error, 'POSTGRES_SLOT_MISSING'));
      });
    });

    test('does not go on without its publication', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
        await fixture.publish('t');
        const recorded = await fixture.stream();
        await fixture.run(`DROP PUBLICATION ${fixture.schema}_pub`, 'INSERT INTO t VALUES (1)');
        await assert.rejects(recorded.stream.ended, (error) => isBusError(error, 'POSTGRES_PUBLICATION_MISSING'));
      });
    });

    test('ends with POSTGRES_SHUTDOWN where an administrator ends it', async () => {
      await withFixture(async (fixture) => {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
        await fixture.publish('t');
        const recorded = await fixture.stream();
        await fixture.run(
          `SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '${fixture.slotName}'`,
        );
        await assert.rejects(recorded.stream.ended, (error) => isBusError(error, 'POSTGRES_SHUTDOWN'));
      });
    });
  });
}
