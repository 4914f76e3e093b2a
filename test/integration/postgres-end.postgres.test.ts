import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { connect } from '../../src/drivers/postgres/connection.ts';
import { readRunStartedAtMs } from '../../src/drivers/postgres/server-life.ts';
import { findSlots } from '../../src/drivers/postgres/slot.ts';
import { PostgresSource } from '../../src/drivers/postgres/source.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { type PostgresInstance, type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { type SourceFixture, sourceFixture } from '../support/source-fixture.ts';

/** What an administrator is made to wait at most, while a relay is attached. */
const STOP_WITHIN_MS = 2000;

for (const major of [15, 18] as const) {
  describe(`the end of PostgreSQL ${major}`, { timeout: 120_000 }, () => {
    let server: PostgresServer;
    let primary: PostgresInstance;
    let fixture: SourceFixture;
    before(async () => {
      server = await startPostgres({ major });
      assert.ok(server.primary);
      primary = server.primary;
    });
    after(async () => {
      await primary.stop('immediate');
      await server.stop();
    });
    beforeEach(async () => {
      fixture = await sourceFixture(server.url);
      await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
      await fixture.publish('t');
    });

    /** Stops the server, takes the time, and starts it again. */
    async function stopAndStart(): Promise<number> {
      const startedAtMs = performance.now();
      await primary.stop('fast');
      const tookMs = performance.now() - startedAtMs;
      primary = await primary.start();
      return tookMs;
    }

    test('a fast stop ends the copy in order where all is confirmed', async (t) => {
      const recorded = await fixture.stream((walEnd, stream) => stream.confirm({ write: walEnd, flush: walEnd }));
      await fixture.run('INSERT INTO t VALUES (1)');
      await recorded.changes(1);
      const tookMs = await stopAndStart();
      t.diagnostic(`stopped in ${Math.round(tookMs)} ms`);
      assert.equal(await recorded.stream.ended, 'clean');
      assert.ok(tookMs < STOP_WITHIN_MS, `took ${tookMs} ms`);
    });

    test('a fast stop is let go within two seconds where something cannot be confirmed', async (t) => {
      const recorded = await fixture.stream();
      await fixture.run('INSERT INTO t VALUES (1)');
      await recorded.changes(1);
      const tookMs = await stopAndStart();
      t.diagnostic(`stopped in ${Math.round(tookMs)} ms, after ${recorded.count('keepalive')} keepalives`);
      await assert.rejects(recorded.stream.ended, (error) => isBusError(error, 'POSTGRES_SHUTDOWN'));
      assert.ok(tookMs < STOP_WITHIN_MS, `took ${tookMs} ms`);
      assert.ok(recorded.count('keepalive') < 200, 'it does not spin');
    });

    test('a fast stop is let go within two seconds by a relay that is paused, since its other connection hears of it', async (t) => {
      const { schema } = fixture;
      await fixture.run(`ALTER PUBLICATION ${schema}_pub RENAME TO ${schema}`);
      await fixture.run(`SELECT pg_create_logical_replication_slot('${schema}_0123abcd', 'pgoutput')`);
      const ruleTables = [{ schema, name: 't' }];
      const source = new PostgresSource({
        url: server.url,
        bus: schema,
        publication: schema,
        slotPrefix: schema,
        ruleTables,
      });
      await source.look();
      const stream = await source.open(new AbortController().signal);
      stream.ended.catch(() => undefined);
      await fixture.run('INSERT INTO t SELECT generate_series(1, 100000)');
      const tookMs = await stopAndStart();
      t.diagnostic(`stopped in ${Math.round(tookMs)} ms`);
      await assert.rejects(stream.ended, (error) => isBusError(error, 'POSTGRES_SHUTDOWN'));
      assert.ok(tookMs < STOP_WITHIN_MS, `took ${tookMs} ms`);
      await source.close();
    });

    test('no stream is opened that commits would wait for', async () => {
      const { schema } = fixture;
      const parts = { url: server.url, bus: schema, publication: `${schema}_pub`, slotPrefix: schema, ruleTables: [] };
      const source = new PostgresSource(parts);
      await fixture.run(`ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'`, 'SELECT pg_reload_conf()');
      const { signal } = new AbortController();
      const refused = (): Promise<boolean> =>
        source.open(signal).then(
          () => false,
          (error) => isBusError(error, 'POSTGRES_SYNCHRONOUS_STANDBY'),
        );
      await eventually('the refusal', refused);
      await fixture.run('ALTER SYSTEM RESET synchronous_standby_names', 'SELECT pg_reload_conf()');
      await source.close();
    });

    test('a slot whose WAL is gone is told apart from one that is not there, and is not streamed from', async () => {
      const { schema, sql } = fixture;
      await fixture.run(
        `SELECT pg_create_logical_replication_slot('${schema}_0123abcd', 'pgoutput')`,
        `ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'`,
        'SELECT pg_reload_conf()',
      );
      const walStatus = async (): Promise<string | null | undefined> =>
        (await findSlots(sql, schema, `${schema}_pub`))[0]?.walStatus;
      await eventually('the slot is lost', async () => {
        await fixture.run(
          `INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t`,
          'SELECT pg_switch_wal()',
          'CHECKPOINT',
        );
        return (await walStatus()) === 'lost';
      });
      await fixture.run('ALTER SYSTEM RESET max_slot_wal_keep_size', 'SELECT pg_reload_conf()');
      await assert.rejects(fixture.stream(), (error) => isBusError(error, 'POSTGRES_SLOT_INVALIDATED'));
      const ruleTables = [{ schema, name: 't' }];
      const parts = { url: server.url, bus: schema, publication: `${schema}_pub`, ruleTables };
      const lost = new PostgresSource({ ...parts, slotPrefix: schema });
      const missing = new PostgresSource({ ...parts, slotPrefix: 'nobody' });
      const { signal } = new AbortController();
      await assert.rejects(lost.open(signal), (error) => isBusError(error, 'POSTGRES_SLOT_INVALIDATED'));
      await assert.rejects(missing.open(signal), (error) => isBusError(error, 'POSTGRES_SLOT_MISSING'));
      await Promise.all([lost.close(), missing.close()]);
    });

    test('a crash of a backend is told by its code to SQL, and seen in the time since which the server runs', async () => {
      const recorded = await fixture.stream();
      const before = await readRunStartedAtMs(fixture.sql);
      const [own] = await fixture.sql.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      const victim = await connect(server.url, { applicationName: 'victim' });
      // A farewell is dropped where it meets a session that is still in the call that sent its last answer (PqCommBusy in pqcomm.c).
      await eventually('the session waits for its client', async () => {
        const text = 'SELECT wait_event AS waits FROM pg_stat_activity WHERE pid = $1';
        const [session] = await victim.query<{ waits: string | null }>(text, [own?.pid]);
        return session?.waits === 'ClientRead';
      });
      const [row] = await victim.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      process.kill(row?.pid ?? 0, 'SIGKILL');
      const reason = await fixture.sql.lost;
      assert.equal(reason.code, 'POSTGRES_CRASHED');
      await assert.rejects(recorded.stream.ended, (error) => isBusError(error) && error.retry !== 'operator');
      const again = await eventually('the server is back', () =>
        connect(server.url, { applicationName: 'again' }).catch(() => undefined),
      );
      assert.ok((await readRunStartedAtMs(again)) > before);
      await again.close();
    });
  });
}
