import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { loadOnce } from '../support/source-family.ts';
import { startTcpProxy } from '../support/tcp-proxy.ts';

const BY_ID = { source: 'select id, name from users where id = {id}' };
const PRIMARY = { kind: 'primary', timeline: 1 };

for (const major of [15, 18] as const) {
  describe(`a source on the primary, PostgreSQL ${major}`, { timeout: 120_000 }, () => {
    let server: PostgresServer;
    let sql: Connection;
    let primary: pg.Pool;
    before(async () => {
      server = await startPostgres({ major });
      sql = await connect(server.url, { applicationName: 'test' });
      await sql.query('CREATE TABLE public.users (id int PRIMARY KEY, name varchar(20), org_id int)');
      await sql.query(`INSERT INTO public.users SELECT n, 'u' || n, n % 2 FROM generate_series(1, 10) AS n`);
      primary = new pg.Pool({ connectionString: server.url, max: 2 });
    });
    after(async () => {
      await Promise.all([primary.end(), sql.close()]);
      await server.stop();
    });
    const idleClients = (): { readonly total: number; readonly idle: number } => ({
      total: primary.totalCount,
      idle: primary.idleCount,
    });

    test('gives one row, with the timeline of the session that read it', async () => {
      assert.deepEqual(await loadOnce(BY_ID, { primary }), { value: { id: 1, name: 'u1' }, evidence: PRIMARY });
    });

    test('gives null and the same evidence where there is no row', async () => {
      assert.deepEqual(await loadOnce(BY_ID, { primary }, { id: 99 }), { value: null, evidence: PRIMARY });
      // Beyond int4: no row, and no error of a cast.
      assert.equal((await loadOnce(BY_ID, { primary }, { id: '9000000000' })).value, null);
    });

    test('gives a list in the order of the source, and an empty one', async () => {
      const many = {
        source: 'select id from users where org_id = {id} order by name desc, id; -- the last first',
        rows: 'many',
      } as const;
      const { value } = await loadOnce(many, { primary });
      assert.deepEqual(value, [{ id: 9 }, { id: 7 }, { id: 5 }, { id: 3 }, { id: 1 }]);
      assert.deepEqual(await loadOnce(many, { primary }, { id: 7 }), { value: [], evidence: PRIMARY });
    });

    test('keeps the columns as the source names them: the last of two of one name, rows of NULLs, and WITH', async () => {
      const twice = { source: 'select u.*, 7 as id from users u where u.id = {id}' };
      assert.deepEqual((await loadOnce(twice, { primary })).value, { id: 7, name: 'u1', org_id: 1 });
      const nulls = { source: 'select null as a, null::int as b where {id} = 1' };
      assert.deepEqual((await loadOnce(nulls, { primary })).value, { a: null, b: null });
      const cte = { source: `with one as (select name from users where id = {id}) select '{x}' as x, * from one` };
      assert.deepEqual((await loadOnce(cte, { primary })).value, { x: '{x}', name: 'u1' });
    });

    test('refuses more than one row where one is a value, and no pool of the primary', async () => {
      await assert.rejects(loadOnce({ source: 'select 1 from users' }, { primary }), (error) =>
        isBusError(error, 'SOURCE_ROWS_UNEXPECTED'),
      );
      assert.throws(
        () => void loadOnce(BY_ID, { replica: primary }),
        (error) => isBusError(error, 'POSTGRES_POOL_INVALID'),
      );
    });

    test('gives values that JSON carries back equal, whatever the session’s zone and the application’s parsers are', async () => {
      const source = `select 9007199254740993::int8 as big, 0.10::numeric as exact, '\\x00ff'::bytea as bytes,
        '2026-02-28'::date as day, '2026-02-28 12:00:00.5'::timestamp as at,
        '2026-02-28 12:00:00.123+00'::timestamptz as moment, 'NaN'::float8 as nothing, '{"a":[1,{}]}'::jsonb as doc,
        array['2026-02-28'::date, null] as days, interval '1 day' as span, {id}::int4 as id, true as yes`;
      const expected = {
        big: '9007199254740993',
        exact: '0.10',
        bytes: '\\x00ff',
        day: '2026-02-28',
        at: '2026-02-28T12:00:00.5',
        moment: '2026-02-28T12:00:00.123Z',
        nothing: 'NaN',
        doc: { a: [1, {}] },
        days: ['2026-02-28', null],
        span: '1 day',
        id: 1,
        yes: true,
      };
      const types = { getTypeParser: () => () => 'the application’s' } as unknown as pg.CustomTypesConfig;
      const other = new pg.Pool({ connectionString: server.url, options: '-c TimeZone=Asia/Kolkata', types });
      for (const pool of [primary, other]) {
        const { value } = await loadOnce({ source }, { primary: pool });
        assert.deepEqual(value, expected);
        assert.deepEqual(JSON.parse(JSON.stringify(value)), value);
      }
      await other.end();
    });

    test('an error of the query has a code, and its client goes on', async () => {
      await loadOnce(BY_ID, { primary });
      const had = idleClients();
      await assert.rejects(loadOnce({ source: 'select 1 / ({id}::int - 1)' }, { primary }), (error) =>
        isBusError(error, 'POSTGRES_QUERY_FAILED'),
      );
      assert.deepEqual(idleClients(), had);
    });

    test('a session that the server ends fails the load with a code, and not the process', async () => {
      const pool = new pg.Pool({ connectionString: server.url, application_name: 'to-be-ended' });
      const loading = loadOnce({ source: 'select pg_sleep(60)::text where {id} = 1' }, { primary: pool });
      const end = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE application_name = 'to-be-ended' AND wait_event = 'PgSleep'`;
      await Promise.all([
        assert.rejects(loading, (error) => isBusError(error, 'POSTGRES_SHUTDOWN')),
        eventually('the sleep', async () => (await sql.query(end)).length > 0),
      ]);
      assert.equal(pool.totalCount, 0);
      assert.deepEqual((await loadOnce(BY_ID, { primary: pool })).value, { id: 1, name: 'u1' });
      await pool.end();
    });

    test('a connection that is cut in the middle of a query fails the load with a code, and not the process', async () => {
      const at = { host: '127.0.0.1', port: Number(new URL(server.url).port) };
      const proxy = await startTcpProxy(at);
      const pool = new pg.Pool({
        connectionString: server.url.replace(`:${at.port}/`, `:${proxy.port}/`),
        application_name: 'to-be-cut',
      });
      const loading = loadOnce({ source: 'select pg_sleep(2)::text where {id} = 1' }, { primary: pool });
      const sleeping = `SELECT FROM pg_stat_activity WHERE application_name = 'to-be-cut' AND wait_event = 'PgSleep'`;
      await Promise.all([
        assert.rejects(loading, (error) => isBusError(error, 'POSTGRES_UNREACHABLE')),
        eventually('the sleep', async () => (await sql.query(sleeping)).length > 0).then(() => proxy.retarget(at)),
      ]);
      assert.equal(pool.totalCount, 0);
      assert.deepEqual((await loadOnce(BY_ID, { primary: pool })).value, { id: 1, name: 'u1' });
      await pool.end();
      await proxy.close();
    });

    test('an abort in the middle of a query closes the client and throws the signal’s reason', async () => {
      const pool = new pg.Pool({ connectionString: server.url, application_name: 'to-be-aborted', max: 1 });
      const controller = new AbortController();
      const reason = new Error('enough');
      const sleep = { source: 'select pg_sleep(5)::text where {id} = 1' };
      const loading = loadOnce(sleep, { primary: pool }, { signal: controller.signal });
      const sleeping = `SELECT FROM pg_stat_activity WHERE application_name = 'to-be-aborted' AND wait_event = 'PgSleep'`;
      const waiting = loadOnce(BY_ID, { primary: pool }, { signal: controller.signal });
      await eventually('the sleep', async () => (await sql.query(sleeping)).length > 0);
      controller.abort(reason);
      await assert.rejects(loading, (error) => error === reason);
      // It waited for the client of the other, and gives back what comes too late.
      await assert.rejects(waiting, (error) => error === reason);
      assert.deepEqual((await loadOnce(BY_ID, { primary: pool })).value, { id: 1, name: 'u1' });
      await eventually('the pool at rest', () => pool.totalCount === 1 && pool.idleCount === 1);
      await assert.rejects(
        loadOnce(BY_ID, { primary: pool }, { signal: controller.signal }),
        (error) => error === reason,
      );
      await pool.end();
    });

    test('a client that was given back inside a transaction is not read from, and closed', async () => {
      const pool = new pg.Pool({ connectionString: server.url, max: 1 });
      const client = await pool.connect();
      await client.query('begin isolation level repeatable read');
      await client.query('select count(*) from users');
      client.release();
      await assert.rejects(loadOnce(BY_ID, { primary: pool }), (error) => isBusError(error, 'POSTGRES_IN_TRANSACTION'));
      assert.equal(pool.totalCount, 0);
      assert.deepEqual((await loadOnce(BY_ID, { primary: pool })).evidence, PRIMARY);
      await pool.end();
    });

    test('a server that cannot be reached is an error with a code', async () => {
      const pool = new pg.Pool({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' });
      await assert.rejects(loadOnce(BY_ID, { primary: pool }), (error) => isBusError(error, 'POSTGRES_UNREACHABLE'));
      await pool.end();
    });
  });
}
