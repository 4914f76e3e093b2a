import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { readRunStartedAtMs } from '../../src/drivers/postgres/server-life.ts';
import { createSlotSql } from '../../src/drivers/postgres/slot.ts';
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

    /** Runs SQL and returns what the relay made of it. */
    async function follow(relay: RunningRelay, marker: string, statements: readonly string[]): Promise<string[]> {
      for (const statement of statements) await sql.query(statement);
      const tags = [`marker:${marker}`];
      await sql.query(`SELECT pg_logical_emit_message(true, 'afterwrite', $1)`, [JSON.stringify({ tags })]);
      return relay.news(`marker:${marker}`);
    }

    test('FOR ALL TABLES widens nothing for tables without rules, and a table attached in mid-stream feeds its root at once', async (t) => {
      const all = { orders: { key: 'orders:{user_id}', ttl: '1m', on: { orders: { user_id: 'user_id' } } } };
      const config = configOf(postgres.url, all, { bus: 'all' });
      await sql.query('CREATE TABLE public.orders (id bigint, user_id bigint) PARTITION BY RANGE (id)');
      for (const table of ['later', 'later_still'])
        await sql.query(`CREATE TABLE public.${table} (id bigint, user_id bigint)`);
      await sql.query('CREATE TABLE public.unlike (id bigint)');
      await sql.query(`CREATE PUBLICATION ${config.source.publication} FOR ALL TABLES WITH (publish = 'insert')`);
      await sql.query(createSlotSql(`${config.source.slotPrefix}_0123abcd`, 0));
      const relay = new RunningRelay(config);
      t.after(() => relay.stop());
      await eventually('streaming', () => relay.state === 'streaming');
      const madeOld = (marker: string, ...statements: string[]): Promise<string[]> => follow(relay, marker, statements);
      assert.deepEqual(
        await madeOld('a', 'INSERT INTO public.unlike VALUES (1)', `INSERT INTO public.users VALUES (1)`),
        [],
      );
      assert.deepEqual(
        await madeOld('b', 'INSERT INTO public.later VALUES (1, 7)'),
        ['orders*'],
        'it has every column',
      );
      await eventually('known to feed nothing', async () => {
        const made = await madeOld(`c${performance.now()}`, 'INSERT INTO public.later VALUES (2, 7)');
        return made.length === 0;
      });
      const attach = (table: string, from: number): string =>
        `ALTER TABLE public.orders ATTACH PARTITION public.${table} FOR VALUES FROM (${from}) TO (${from + 1000})`;
      const attached = await madeOld(
        'd',
        attach('later', 0),
        'INSERT INTO public.orders VALUES (3, 8)',
        'BEGIN',
        attach('later_still', 1000),
        'INSERT INTO public.orders VALUES (1003, 9)',
        'COMMIT',
      );
      // Widened, or known already: nothing is passed over.
      assert.ok(attached.includes('orders*') || ['orders:8', 'orders:9'].every((key) => attached.includes(key)));
      await eventually('known by its root', async () => {
        const made = await madeOld(`e${performance.now()}`, 'INSERT INTO public.orders VALUES (4, 10)');
        return made.length === 1 && made[0] === 'orders:10';
      });
      await relay.stop();
      await sql.query('DROP TABLE public.orders, public.unlike');
      await sql.query(`DROP PUBLICATION ${config.source.publication}`);
    });

    test('a key in a database of encoding SQL_ASCII that is no UTF-8 makes its family old', async (t) => {
      await sql.query(`CREATE DATABASE ascii TEMPLATE template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'`);
      const there = new URL(postgres.url);
      there.pathname = '/ascii';
      const ascii = await connect(there.href, { applicationName: 'test' });
      t.after(() => ascii.close());
      await ascii.query('CREATE TABLE public.users (id text PRIMARY KEY)');
      const config = configOf(there.href, FAMILIES, { bus: 'ascii' });
      await setUp(ascii, config);
      const relay = new RunningRelay(config);
      t.after(() => relay.stop());
      await ascii.query(`INSERT INTO public.users VALUES ('Z' || chr(252) || 'rich')`);
      await ascii.query(`SELECT pg_logical_emit_message(true, 'afterwrite', '{"tags":["marker:a"]}')`);
      assert.deepEqual(await relay.news('marker:a'), ['user*']);
      await ascii.query(`INSERT INTO public.users VALUES ('Basel')`);
      await ascii.query(`SELECT pg_logical_emit_message(true, 'afterwrite', '{"tags":["marker:b"]}')`);
      assert.deepEqual(await relay.news('marker:b'), ['user:Basel']);
    });

    test('a table without identity feeds its keys, and Postgres refuses the changes that the stream could not tell', async (t) => {
      const visits = { visits: { key: 'visits:{user_id}', ttl: '1m', on: { visits: { user_id: 'user_id' } } } };
      const config = configOf(postgres.url, visits, { bus: 'bare' });
      await sql.query('CREATE TABLE public.visits (user_id bigint, at timestamptz)');
      await setUp(sql, config);
      const relay = new RunningRelay(config);
      t.after(() => relay.stop());
      const madeOld = (marker: string, ...statements: string[]): Promise<string[]> => follow(relay, marker, statements);
      const inserted = 'INSERT INTO public.visits VALUES (1)';
      assert.deepEqual(await madeOld('a', inserted), [], 'set-up does not publish it');
      await sql.query(`ALTER PUBLICATION ${config.source.publication} ADD TABLE public.visits`);
      for (const identity of ['DEFAULT', 'NOTHING']) {
        await sql.query(`ALTER TABLE public.visits REPLICA IDENTITY ${identity}`);
        for (const refused of ['UPDATE public.visits SET user_id = 3', 'DELETE FROM public.visits'])
          await assert.rejects(sql.query(refused), { code: 'POSTGRES_QUERY_FAILED' });
        assert.deepEqual(await madeOld(identity, inserted), ['visits:1']);
      }
      await sql.query('ALTER TABLE public.visits REPLICA IDENTITY FULL');
      const moved = await madeOld('b', 'UPDATE public.visits SET user_id = 2', 'DELETE FROM public.visits');
      assert.deepEqual(moved, ['visits:1', 'visits:2']);
      assert.deepEqual(await madeOld('c', 'TRUNCATE public.visits'), ['visits*']);
    });

    test('a crash of a backend begins a new source epoch, for a role too that cannot see since when the server runs', async (t) => {
      const relay = new RunningRelay(configOf(url, FAMILIES));
      t.after(() => relay.stop());
      await eventually('streaming', () => relay.state === 'streaming' && relay.records().length > 0);
      const asRelay = await connect(url, { applicationName: 'test' });
      const startedAtMs = await readRunStartedAtMs(asRelay);
      const [victim] = await asRelay.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      process.kill(victim?.pid ?? 0, 'SIGKILL');
      await sql.lost;
      sql = await eventually('the server is back', () =>
        connect(postgres.url, { applicationName: 'test' }).catch(() => undefined),
      );
      await eventually('a new epoch', () => relay.epochs.some((epoch) => epoch.endsWith(' crash')));
      const again = await connect(url, { applicationName: 'test' });
      assert.equal(await readRunStartedAtMs(again), startedAtMs, 'the start of the server does not show the crash');
      await Promise.all([again.close(), asRelay.close()]);
    });
  });
}
