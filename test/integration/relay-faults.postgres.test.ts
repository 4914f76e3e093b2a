import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { readRunStartedAtMs } from '../../src/drivers/postgres/server-life.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { configOf, RunningRelay, setUp } from '../support/running-relay.ts';

const FAMILIES = { user: { key: 'user:{id}', ttl: '1m', on: { users: { id: 'id' } } } };

for (const major of [15, 18] as const) {
  describe(`the relay and the faults of PostgreSQL ${major}`, { timeout: 120_000 }, () => {
    let postgres: PostgresServer;
    let sql: Connection;
    let url: string;
    before(async () => {
      postgres = await startPostgres({ major });
      sql = await connect(postgres.url, { applicationName: 'test' });
      await sql.query('CREATE TABLE public.users (id bigint PRIMARY KEY, name text)');
      await sql.query('CREATE ROLE relay LOGIN REPLICATION');
      const plain = new URL(postgres.url);
      plain.username = 'relay';
      url = plain.href;
      await setUp(sql, configOf(url, FAMILIES));
    });
    after(async () => {
      await sql.close();
      await postgres.stop();
    });

    test('a crash of a backend begins a new source epoch, for a role too that cannot see since when the server runs', async () => {
      const relay = new RunningRelay(configOf(url, FAMILIES));
      await eventually('streaming', () => relay.state === 'streaming' && relay.records().length > 0);
      const asRelay = await connect(url, { applicationName: 'test' });
      const startedAtMs = await readRunStartedAtMs(asRelay);
      const [victim] = await asRelay.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      process.kill(victim?.pid ?? 0, 'SIGKILL');
      await sql.lost;
      sql = await eventually('the server is back', () =>
        connect(postgres.url, { applicationName: 'test' }).catch(() => undefined),
      );
      await eventually('a new epoch', () => relay.epochs.includes('2 crash'));
      const again = await connect(url, { applicationName: 'test' });
      assert.equal(await readRunStartedAtMs(again), startedAtMs, 'the start of the server does not show the crash');
      await Promise.all([again.close(), asRelay.close()]);
      await relay.stop();
    });
  });
}
