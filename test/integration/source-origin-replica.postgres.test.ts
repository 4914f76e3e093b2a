import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { readTokenAfterWrite } from '../../src/client/after-write.ts';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import type { Evidence } from '../../src/protocol/fill.ts';
import { type Lsn, lsnFromPostgres } from '../../src/protocol/lsn.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { heldPool } from '../support/held-pool.ts';
import { loadOnce } from '../support/source-family.ts';

const COUNTER = { source: 'select n from counter where id = {id}', reads: 'replica' } as const;

function proofOf(evidence: Evidence): Lsn {
  assert.equal(evidence.kind, 'replica');
  return evidence.replayedLsn;
}

const numberOf = (value: unknown): number => (value as { readonly n: number }).n;

for (const major of [15, 18] as const) {
  describe(`a source on a replica of PostgreSQL ${major}`, { timeout: 180_000 }, () => {
    let server: PostgresServer;
    let writer: Connection;
    let standby: Connection;
    let primary: pg.Pool;
    let replica: pg.Pool;
    let count = 0;
    /** Raises the counter. Returns the end of its commit record: a read at an LSN at or above it has seen it. Nobody else writes. */
    const raise = async (): Promise<Lsn> => {
      await writer.query('UPDATE public.counter SET n = n + 1');
      count += 1;
      const [row] = await writer.query<{ lsn: string }>('SELECT pg_current_wal_flush_lsn()::text AS lsn');
      return lsnFromPostgres(row?.lsn ?? '');
    };
    const replayed = async (target: Lsn): Promise<void> => {
      const text = 'SELECT pg_last_wal_replay_lsn()::text AS lsn';
      await eventually('the replay', async () => {
        const [row] = await standby.query<{ lsn: string }>(text);
        return lsnFromPostgres(row?.lsn ?? '') >= target;
      });
    };
    before(async () => {
      server = await startPostgres({ major, replica: true });
      writer = await connect(server.url, { applicationName: 'writer' });
      standby = await connect(server.replicaUrl ?? '', { applicationName: 'standby' });
      await writer.query('CREATE TABLE public.counter (id int PRIMARY KEY, n int NOT NULL)');
      await writer.query('INSERT INTO public.counter VALUES (1, 0)');
      primary = new pg.Pool({ connectionString: server.url });
      // A test stops the server below it.
      primary.on('error', () => undefined);
      replica = new pg.Pool({ connectionString: server.replicaUrl, max: 4 });
      await replayed(await raise());
      const text = 'SELECT FROM pg_stat_wal_receiver WHERE received_tli = 1';
      await eventually('the receiver', async () => (await standby.query(text)).length > 0);
    });
    after(async () => {
      await Promise.all([primary.end(), replica.end(), writer.close(), standby.close()]);
      await server.stop();
    });

    test('proves what it had replayed on its timeline, and leaves no transaction open', async () => {
      const end = await raise();
      await replayed(end);
      const { value, evidence } = await loadOnce(COUNTER, { replica });
      assert.deepEqual(value, { n: count });
      assert.ok(proofOf(evidence) >= end);
      assert.equal((evidence as { readonly timeline: number }).timeline, 1);
      const client = await replica.connect();
      assert.equal(client.getTransactionStatus(), 'I');
      client.release();
    });

    test('the rows are of a later snapshot than the proof, also where sessions begin in REPEATABLE READ', async () => {
      // Method: hold the session between its statements until a write that the proof does not cover has been replayed.
      const options = '-c default_transaction_isolation=repeatable\\ read';
      const pool = new pg.Pool({ connectionString: server.replicaUrl, options });
      let end = 0n as Lsn;
      const held = heldPool(pool, async () => {
        end = await raise();
        await replayed(end);
      });
      const { value, evidence } = await loadOnce(COUNTER, { replica: held });
      assert.ok(end > 0n);
      assert.deepEqual(value, { n: count });
      assert.ok(proofOf(evidence) < end);
      await pool.end();
    });

    test('no proof exceeds what the rows show while writes go on; an LSN of the rows’ own statement does', async () => {
      // Method: each write's number stands in the row, with the end of its commit kept here. A proof at or above the end of a number that the row has not
      // reached is wrong. In one statement the LSN is read a moment after the snapshot: the moment is made longer, so that it shows for sure.
      const ends = new Map<number, Lsn>();
      const seen: { readonly shown: number; readonly proof: Lsn }[] = [];
      const planted: { readonly shown: number; readonly proof: Lsn }[] = [];
      let isWriting = true;
      const writing = (async () => {
        while (isWriting) {
          const end = await raise();
          ends.set(count, end);
        }
      })();
      const reading = Array.from({ length: 3 }, async () => {
        for (let i = 0; i < 200; i += 1) {
          const { value, evidence } = await loadOnce(COUNTER, { replica });
          seen.push({ shown: numberOf(value), proof: proofOf(evidence) });
        }
      });
      const inOneStatement = 'SELECT n, pg_sleep(0.02), pg_last_wal_replay_lsn()::text AS lsn FROM counter';
      for (let i = 0; i < 30; i += 1) {
        const { rows } = await replica.query<{ n: number; lsn: string }>(inOneStatement);
        for (const { n, lsn } of rows) planted.push({ shown: n, proof: lsnFromPostgres(lsn) });
      }
      await Promise.all(reading);
      isWriting = false;
      await writing;
      const isWrong = ({ shown, proof }: (typeof seen)[number]): boolean => {
        const next = ends.get(shown + 1);
        return next !== undefined && proof >= next;
      };
      assert.equal(seen.length, 600);
      assert.equal(seen.filter(isWrong).length, 0);
      assert.ok(new Set(seen.map(({ shown }) => shown)).size > 10, 'writes went on meanwhile');
      assert.ok(planted.some(isWrong), 'the planted fault shows');
    });

    test('while replay is paused the proof stands still, and a newer token is read on the primary', async () => {
      await replayed(await raise());
      const shown = count;
      await standby.query('SELECT pg_wal_replay_pause()');
      const paused = `SELECT FROM (SELECT pg_get_wal_replay_pause_state() AS state) s WHERE state = 'paused'`;
      try {
        await eventually('the pause', async () => (await standby.query(paused)).length > 0);
        const end = await raise();
        const token = await readTokenAfterWrite(primary);
        const late = await loadOnce(COUNTER, { replica, primary });
        assert.deepEqual(late.value, { n: shown });
        assert.ok(proofOf(late.evidence) < end);
        assert.deepEqual(await loadOnce(COUNTER, { replica, primary }, { token }), {
          value: { n: count },
          evidence: { kind: 'primary', timeline: 1 },
        });
        await assert.rejects(loadOnce(COUNTER, { replica }, { token }), (error) =>
          isBusError(error, 'READ_TOKEN_UNREACHED'),
        );
        assert.equal(replica.idleCount, replica.totalCount);
        await standby.query('SELECT pg_wal_replay_resume()');
        await replayed(end);
        const reached = await loadOnce(COUNTER, { replica }, { token });
        assert.deepEqual(reached.value, { n: count });
        assert.ok(proofOf(reached.evidence) >= end);
      } finally {
        await standby.query('SELECT pg_wal_replay_resume()');
      }
    });

    test('a server of the other kind gives rows without evidence, and no token is reached by it', async () => {
      await replayed(await raise());
      const expected = { value: { n: count }, evidence: { kind: 'none' } };
      assert.deepEqual(await loadOnce(COUNTER, { replica: primary }), expected);
      const onPrimary = { ...COUNTER, reads: 'primary' } as const;
      assert.deepEqual(await loadOnce(onPrimary, { primary: replica }), expected);
      const token = await readTokenAfterWrite(primary);
      await assert.rejects(loadOnce(onPrimary, { primary: replica }, { token }), (error) =>
        isBusError(error, 'READ_TOKEN_UNREACHED'),
      );
      await assert.rejects(
        loadOnce(onPrimary, { primary }, { token: { ...token, timeline: 2 } }),
        (error) => isBusError(error, 'READ_TOKEN_UNREACHED'),
        'a primary of an earlier timeline than the token’s',
      );
    });

    test('without a pool of a replica, the primary is read', async () => {
      const { evidence } = await loadOnce(COUNTER, { primary });
      assert.deepEqual(evidence, { kind: 'primary', timeline: 1 });
    });

    test('a user who may not see the timeline gets rows without evidence', async () => {
      await writer.query('CREATE USER reader');
      await writer.query('GRANT SELECT ON public.counter TO reader');
      await replayed(await raise());
      const url = new URL(server.replicaUrl ?? '');
      url.username = 'reader';
      const pool = new pg.Pool({ connectionString: url.href });
      assert.deepEqual(await loadOnce(COUNTER, { replica: pool }), {
        value: { n: count },
        evidence: { kind: 'none' },
      });
      await pool.end();
    });

    test('an error of the query ends the transaction, and the client goes on', async () => {
      const pool = new pg.Pool({ connectionString: server.replicaUrl, max: 1 });
      const divides = { source: 'select 1 / ({id}::int - 1) from counter', reads: 'replica' } as const;
      await assert.rejects(loadOnce(divides, { replica: pool }), (error) => isBusError(error, 'POSTGRES_QUERY_FAILED'));
      assert.deepEqual([pool.totalCount, pool.idleCount], [1, 1]);
      const client = await pool.connect();
      assert.equal(client.getTransactionStatus(), 'I');
      client.release();
      const writes = { source: `select nextval('s')::text from counter where id = {id}`, reads: 'replica' } as const;
      await writer.query('CREATE SEQUENCE public.s');
      await replayed(await raise());
      await assert.rejects(
        loadOnce(writes, { replica: pool }),
        (error) => isBusError(error, 'POSTGRES_QUERY_FAILED') && error.message.includes('25006'),
      );
      await pool.end();
    });

    test('an abort in the middle leaves no transaction on the server', async () => {
      const pool = new pg.Pool({ connectionString: server.replicaUrl, application_name: 'to-be-aborted' });
      const controller = new AbortController();
      const sleeps = { source: 'select pg_sleep(1)::text from counter where id = {id}', reads: 'replica' } as const;
      const loading = loadOnce(sleeps, { replica: pool }, { signal: controller.signal });
      const text = `SELECT wait_event FROM pg_stat_activity WHERE application_name = 'to-be-aborted'`;
      await eventually('the sleep', async () => {
        const rows = await standby.query<{ wait_event: string }>(text);
        return rows.some(({ wait_event }) => wait_event === 'PgSleep');
      });
      controller.abort(new Error('enough'));
      await assert.rejects(loading, /enough/);
      assert.equal(pool.totalCount, 0);
      await eventually('the session’s end', async () => (await standby.query(text)).length === 0);
      await pool.end();
    });

    test('Aurora is refused, and the session is given back', async () => {
      await writer.query(`CREATE FUNCTION public.aurora_version() RETURNS text LANGUAGE sql AS $$ SELECT '16.1' $$`);
      await replayed(await raise());
      await assert.rejects(loadOnce(COUNTER, { replica }), (error) => isBusError(error, 'REPLICA_UNFIT'));
      await writer.query('DROP FUNCTION public.aurora_version()');
      await replayed(await raise());
      assert.equal((await loadOnce(COUNTER, { replica })).evidence.kind, 'replica');
    });

    test('without a receiver there is no evidence; promoted, the server is a primary of the next timeline at once', async () => {
      await server.primary?.stop('immediate');
      const text = 'SELECT FROM pg_stat_wal_receiver';
      await eventually('the receiver’s end', async () => (await standby.query(text)).length === 0);
      assert.deepEqual(await loadOnce(COUNTER, { replica }), { value: { n: count }, evidence: { kind: 'none' } });
      await standby.query('SELECT pg_promote()');
      const promoted = await loadOnce({ ...COUNTER, reads: 'primary' }, { primary: replica });
      assert.deepEqual(promoted, { value: { n: count }, evidence: { kind: 'primary', timeline: 2 } });
      assert.equal((await readTokenAfterWrite(replica)).timeline, 2);
    });
  });
}
