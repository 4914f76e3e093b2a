import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { lookAtSource } from '../../src/drivers/postgres/snapshot.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { configOf, RunningRelay, setUp } from '../support/running-relay.ts';
import { sourceFixture } from '../support/source-fixture.ts';

const FAMILIES = { user: { key: 'user:{id}', ttl: '10m', on: { users: { id: 'id' } } } };
/** Rows that nobody publishes, in one transaction: decoding them takes a good part of a second, in which the stream says nothing of them. */
const BACKLOG = 'INSERT INTO public.noise SELECT generate_series(1, 400000)';

for (const major of [15, 18] as const) {
  describe(`the time as of which PostgreSQL ${major} is read`, { timeout: 120_000 }, () => {
    let server: PostgresServer;
    let sql: Connection;
    before(async () => {
      server = await startPostgres({ major });
      sql = await connect(server.url, { applicationName: 'test', statementTimeoutMs: 60_000 });
      await sql.query('CREATE TABLE public.noise (n int)');
    });
    after(async () => {
      await sql.close();
      await server.stop();
    });

    test('a walsender that lags answers keepalives with the clock of now and the place up to which it has sent', async () => {
      const fixture = await sourceFixture(server.url);
      try {
        await fixture.run('CREATE TABLE t (id int PRIMARY KEY)');
        await fixture.publish('t');
        await sql.query(BACKLOG);
        const end = await lookAtSource(sql);
        const recorded = await fixture.stream((_walEnd, stream) => stream.requestKeepalive());
        recorded.stream.requestKeepalive();
        const keepalives = (): { walEnd: bigint; serverTimeMs: number }[] =>
          recorded.calls.flatMap((call) => (call.call === 'keepalive' ? [call] : []));
        await eventually('the end', () => keepalives().some(({ walEnd }) => walEnd >= end.flushedLsn));
        const early = keepalives().filter(
          ({ walEnd, serverTimeMs }) => walEnd < end.flushedLsn && serverTimeMs > end.askedAtMs,
        );
        assert.ok(early.length > 0, 'a time that is later than the look, at a place that is before its end');
      } finally {
        await fixture.close();
      }
    });

    test('what was committed before the time of a record is below its end, in a backlog too, and an idle source stays fresh', async () => {
      const config = configOf(server.url, FAMILIES);
      await sql.query('CREATE TABLE public.users (id bigint PRIMARY KEY)');
      await setUp(sql, config);
      const committed = new Map<string, number>();
      for (let id = 1; id <= 20; id++) {
        await sql.query('INSERT INTO public.users VALUES ($1)', [id]);
        committed.set(`user:${id}`, (await lookAtSource(sql)).askedAtMs);
        if (id % 10 === 0) await sql.query(BACKLOG);
      }
      const relay = new RunningRelay(config);
      try {
        const isAt = async (what: string): Promise<void> => {
          const { askedAtMs } = await lookAtSource(sql);
          await eventually(`fresh ${what}`, () => [0, 1].every((p) => relay.times(p).some((ms) => ms > askedAtMs)));
        };
        await isAt('after the backlog');
        // Its end is that of a segment, which no record fills.
        await sql.query('SELECT pg_switch_wal()');
        await isAt('after a switch of segments');
        const records = relay.records();
        const lsns = new Map<string, bigint>();
        for (const { transactions } of records)
          for (const { commitLsn, items } of transactions)
            for (const item of items) if (item.scope === 'key') lsns.set(item.key, commitLsn);
        assert.equal(lsns.size, 20);
        for (const { asOfMs, to } of records)
          for (const [key, ms] of committed)
            assert.ok(ms >= asOfMs || (lsns.get(key) ?? 0n) < to, `${key} was committed before, and is not below`);
      } finally {
        await relay.stop();
      }
    });
  });
}
