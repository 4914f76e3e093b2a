import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { readReplicaState, ReplicaServer } from '../../src/drivers/postgres/replica.ts';
import { lsnFromPostgres } from '../../src/protocol/lsn.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';

for (const major of [15, 18] as const) {
  describe(`a replica of PostgreSQL ${major}`, { timeout: 120_000 }, () => {
    let server: PostgresServer;
    let sql: Connection;
    let replica: ReplicaServer;
    before(async () => {
      server = await startPostgres({ major, replica: true });
      sql = await connect(server.url, { applicationName: 'test' });
      await sql.query('CREATE TABLE public.t (id int PRIMARY KEY)');
      replica = new ReplicaServer({ url: server.replicaUrl ?? '', applicationName: 'afterwrite-agent-test' });
    });
    after(async () => {
      await Promise.all([replica.close(), sql.close()]);
      await server.stop();
    });

    test('says how far it has replayed, and a later statement reads what was committed before that', async () => {
      const reader = await connect(server.replicaUrl ?? '', { applicationName: 'reader' });
      for (let id = 1; id <= 50; id += 1) {
        await sql.query('INSERT INTO public.t VALUES ($1)', [id]);
        const [now] = await sql.query<{ lsn: string }>('SELECT pg_current_wal_insert_lsn()::text AS lsn');
        const committed = lsnFromPostgres(now?.lsn ?? '');
        await eventually('the replay', async () => (await readReplicaState(reader)).replayLsn >= committed);
        const rows = await reader.query('SELECT FROM public.t WHERE id = $1', [id]);
        assert.equal(rows.length, 1);
      }
      await reader.close();
    });

    test('is in recovery, on the timeline that it receives; a primary is not, and on none', async () => {
      const state = await eventually('the receiver', async () => {
        const seen = await replica.read();
        return seen.timeline === 1 ? seen : undefined;
      });
      assert.equal(state.isInRecovery, true);
      const primary = await readReplicaState(sql);
      assert.deepEqual([primary.isInRecovery, primary.timeline, primary.replayLsn], [false, 0, 0n]);
    });

    test('hides its timeline from a user who may not see statistics, so that nothing is taken for settled', async () => {
      await sql.query(`CREATE USER nobody`);
      const url = new URL(server.replicaUrl ?? '');
      url.username = 'nobody';
      const reader = await eventually('the user on the replica', () =>
        connect(url.href, { applicationName: 'nobody' }).catch(() => undefined),
      );
      const state = await readReplicaState(reader);
      assert.deepEqual([state.isInRecovery, state.timeline], [true, 0]);
      await reader.close();
    });

    test('is asked again on a new connection after the old one broke', async () => {
      await replica.read();
      const killer = await connect(server.replicaUrl ?? '', { applicationName: 'killer' });
      await killer.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'afterwrite-agent-test'`,
      );
      await killer.close();
      const state = await eventually('an answer', () => replica.read().catch(() => undefined));
      assert.equal(state.isInRecovery, true);
    });
  });
}
