import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import pg from 'pg';
import type { KeyLoad, LoadManyOrigin } from '../../src/client/origin.ts';
import type { Pool } from '../../src/client/pool.ts';
import { readTokenAfterWrite } from '../../src/client/after-write.ts';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { parseReadToken, printReadToken } from '../../src/protocol/read-token.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { heldPool } from '../support/held-pool.ts';
import { eventually } from '../support/eventually.ts';
import { originOf } from '../support/source-family.ts';

const request = { signal: new AbortController().signal };
const idsOf = (...ids: readonly unknown[]) => ids.map((id) => ({ id }));
const valuesOf = (loads: readonly KeyLoad[]): unknown[] =>
  loads.map((load) => (load.kind === 'loaded' ? load.loaded.value : (load.error as { code?: string }).code));

/** A pool that counts the statements which it is asked. */
function counted(pool: pg.Pool, asked: string[]): Pool {
  const held = heldPool(pool, async () => undefined);
  return {
    connect: async () => {
      const client = await held.connect();
      return { ...client, query: (one) => (asked.push(one.text), client.query(one)) };
    },
  };
}

function manyOf(...args: Parameters<typeof originOf>): LoadManyOrigin {
  const { many } = originOf(...args);
  assert.ok(many !== undefined);
  return many;
}

/** Each is asked as one statement for many keys, and by itself: what is loaded, and its columns' names, must be the same. */
const SOURCES: readonly (Parameters<typeof originOf>[0] & { readonly name: string })[] = [
  { name: 'a row', source: 'select id, name, org_id from users where id = {id}' },
  { name: 'every column', source: 'select * from users where id = {id} -- the whole row' },
  { name: 'WITH', source: 'with one as (select name from users where id = {id}) select * from one;' },
  { name: 'an aggregate', source: 'select count(*) as n, max(name), sum(id + {id}) from users where org_id = {id}' },
  {
    name: 'an aggregate of no rows',
    source: 'select avg(id) as a, array_agg(name) from users where org_id = {id} + 100',
  },
  {
    name: 'columns without a name',
    source: 'select {id}, {id}::int4, {id} + 1, case when true then {id} end, coalesce({id}, 1)',
  },
  { name: 'two columns of one name', source: 'select name, upper(name) as name from users where id = {id}' },
  { name: 'a row of NULLs', source: 'select null as a, null::int as b where {id} % 2 = 1' },
  { name: 'no column', source: 'select from users where id = {id}' },
  {
    name: 'a list in its order',
    rows: 'many',
    source: 'select id, name from users where org_id = {id} % 3 order by name desc, id',
  },
  {
    name: 'a list with LIMIT by the parameter',
    rows: 'many',
    source: 'select id from users where org_id < 2 order by id desc limit {id} % 4 offset {id} % 2',
  },
  {
    name: 'a list of an outer join',
    rows: 'many',
    source:
      'select u.id, p.title from users u left join posts p on p.user_id = u.id where u.id between {id} and {id} + 1 order by p.title desc nulls first, u.id',
  },
  {
    name: 'UNION',
    rows: 'many',
    source: 'select id from users where id = {id} union all select -id from users where id = {id} order by 1',
  },
  {
    name: 'DISTINCT and GROUP BY',
    rows: 'many',
    source:
      'select distinct {id} as given, org_id, count(*) as n from users where id <= {id} group by {id}, org_id order by org_id',
  },
  {
    name: 'a window',
    rows: 'many',
    source:
      'select id, row_number() over (order by id desc) as n, sum({id}) over () as s from users where org_id = {id} % 3 order by id',
  },
  {
    name: 'a subquery of its own',
    source:
      'select (select json_agg(p.title order by p.title) from posts p where p.user_id = u.id) as titles from users u where id = {id}',
  },
  {
    name: 'the parameter in a recursion',
    rows: 'many',
    source: 'with recursive up(n) as (select {id} union all select n - 1 from up where n > {id} - 3) select n from up',
  },
  {
    name: 'no use of the rows',
    rows: 'many',
    source: 'select id from users where ({id} = {id} or true) and id < 5 order by id desc',
  },
];

for (const major of [15, 18] as const) {
  describe(`a source asked for many keys, PostgreSQL ${major}`, { timeout: 180_000 }, () => {
    let server: PostgresServer;
    let sql: Connection;
    let standby: Connection;
    let primary: pg.Pool;
    let replica: pg.Pool;
    before(async () => {
      server = await startPostgres({ major, replica: true });
      sql = await connect(server.url, { applicationName: 'test' });
      standby = await connect(server.replicaUrl ?? '', { applicationName: 'standby' });
      await sql.query('CREATE TABLE public.users (id int PRIMARY KEY, name text, org_id int)');
      await sql.query(
        `INSERT INTO public.users SELECT n, CASE WHEN n % 7 > 0 THEN 'u' || n % 10 END, n % 3 FROM generate_series(1, 200) AS n`,
      );
      await sql.query('CREATE TABLE public.posts (user_id int, title text)');
      await sql.query(`INSERT INTO public.posts SELECT n % 20, 't' || n FROM generate_series(1, 60) AS n`);
      await sql.query('ANALYZE');
      primary = new pg.Pool({ connectionString: server.url, max: 2 });
      replica = new pg.Pool({ connectionString: server.replicaUrl, max: 2 });
      await eventually(
        'the replica',
        async () => (await standby.query(`SELECT FROM pg_stat_wal_receiver WHERE received_tli = 1`)).length > 0,
      );
      await replayed();
    });
    const replayed = async (): Promise<void> => {
      const [at] = await sql.query<{ lsn: string }>('SELECT pg_current_wal_lsn()::text AS lsn');
      await eventually('the replay', async () => {
        const text = 'SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS is';
        return (
          (await standby.query<{ is: boolean | string }>(text, [at?.lsn ?? '']))[0]?.is.toString().startsWith('t') ===
          true
        );
      });
    };
    after(async () => {
      await Promise.all([primary.end(), replica.end(), sql.close(), standby.close()]);
      await server.stop();
    });

    for (const { name, ...family } of SOURCES) {
      test(`by one statement as by one a key: ${name}`, async () => {
        const list = idsOf(3, 1, '42', 9_000_000_000n, 3, 7, 14, 199, 0, -2);
        for (const reads of ['primary', 'replica'] as const) {
          const asked: string[] = [];
          const pools = { primary: counted(primary, asked), replica: counted(replica, asked) };
          const refused: string[] = [];
          const origin = originOf({ ...family, reads }, pools, (why) => refused.push(why));
          const single = await Promise.allSettled(list.map((params) => origin.load(params, request)));
          asked.length = 0;
          const loads = await (origin.many as LoadManyOrigin).loadMany(list, request);
          assert.deepEqual(refused, []);
          if (single.every(({ status }) => status === 'fulfilled'))
            assert.equal(asked.filter((text) => text.includes('LATERAL')).length, 1, asked.join('\n'));
          assert.deepEqual(
            valuesOf(loads),
            single.map((one) => (one.status === 'fulfilled' ? one.value.value : (one.reason as { code: string }).code)),
          );
          for (const load of loads)
            if (load.kind === 'loaded') {
              const { evidence } = load.loaded;
              assert.equal(evidence.kind, reads);
              if (evidence.kind === 'replica') assert.ok(evidence.replayedLsn > 0n);
              assert.equal((evidence as { readonly timeline?: number }).timeline, 1);
            }
        }
      });
    }

    test('texts reach the source as they are, whatever characters they have', async () => {
      const texts = ['a,b', '{x}', '"', '\\', 'a\\b', 'NULL', '', ' ', "é'", '\n'];
      const family = { source: 'select {id} as t', type: 'text' } as const;
      const asked: string[] = [];
      const loads = await manyOf(family, { primary: counted(primary, asked) }).loadMany(idsOf(...texts), request);
      assert.equal(asked.length, 1);
      assert.deepEqual(
        valuesOf(loads),
        texts.map((t) => ({ t })),
      );
    });

    test('a source whose aggregate Postgres would count to the outer query is loaded key by key, which is told once', async () => {
      const asked: string[] = [];
      const told: string[] = [];
      const origin = originOf(
        { source: 'select count({id}) as n from users' },
        { primary: counted(primary, asked) },
        (why) => told.push(why),
      );
      const loads = await origin.many?.loadMany(idsOf(1, 2, 3), request);
      assert.deepEqual(valuesOf(loads ?? []), [{ n: '200' }, { n: '200' }, { n: '200' }]);
      assert.equal(told.length, 1);
      assert.match(told[0] ?? '', /42803/);
      assert.equal(asked.length, 4);
      assert.equal(origin.many, undefined, 'it is not tried again');
    });

    test('a source that is wrong by itself is an error of all its keys, and the form is not to blame', async () => {
      const told: string[] = [];
      const asked: string[] = [];
      const origin = originOf(
        { source: 'select nothing from users where id = {id}' },
        { primary: counted(primary, asked) },
        (why) => told.push(why),
      );
      await assert.rejects(origin.many?.loadMany(idsOf(1, 2, 3), request) ?? Promise.resolve(), (error) =>
        isBusError(error, 'POSTGRES_QUERY_FAILED'),
      );
      assert.deepEqual([told.length, asked.length], [0, 2]);
      assert.ok(origin.many !== undefined);
    });

    test('a key whose row cannot be read fails alone', async () => {
      for (const reads of ['primary', 'replica'] as const) {
        const many = manyOf({ source: 'select 10 / ({id}::int - 3) as n', reads }, { primary, replica });
        const loads = await many.loadMany(idsOf(1, 2, 3, 4, 5), request);
        assert.deepEqual(valuesOf(loads), [{ n: -5 }, { n: -10 }, 'POSTGRES_QUERY_FAILED', { n: 10 }, { n: 5 }]);
      }
      const twice = manyOf({ source: 'select id from users where id in ({id}, 3 * ({id} % 2))' }, { primary });
      assert.deepEqual(valuesOf(await twice.loadMany(idsOf(1, 2, 4), request)), [
        'SOURCE_ROWS_UNEXPECTED',
        { id: 2 },
        { id: 4 },
      ]);
      const misfit = manyOf({ source: 'select id from users where id = {id}' }, { primary });
      assert.deepEqual(valuesOf(await misfit.loadMany(idsOf(1, 'x', 2), request)), [
        { id: 1 },
        'KEY_PARAMETER_INVALID',
        { id: 2 },
      ]);
    });

    test('a key fails alone whatever class its error has: a domain’s, or one that a function made up', async () => {
      await sql.query('CREATE DOMAIN public.not_three AS bigint CHECK (VALUE <> 3)');
      await sql.query(`CREATE FUNCTION public.picky(n bigint) RETURNS bigint LANGUAGE plpgsql AS $$
        BEGIN IF n = 3 THEN RAISE EXCEPTION 'no' USING ERRCODE = 'AW001'; END IF; RETURN n; END $$`);
      for (const what of ['{id}::not_three', 'picky({id})']) {
        const many = manyOf({ source: `select (${what})::int as n` }, { primary });
        const loads = await many.loadMany(idsOf(1, 2, 3, 4), request);
        assert.deepEqual(valuesOf(loads), [{ n: 1 }, { n: 2 }, 'POSTGRES_QUERY_FAILED', { n: 4 }], what);
      }
    });

    test('where the form is refused, the first key’s own error is that key’s', async () => {
      const told: string[] = [];
      const source = 'select count({id}) / ({id} - 1) as n from users';
      const origin = originOf({ source }, { primary }, (why) => told.push(why));
      const loads = await origin.many?.loadMany(idsOf(1, 2, 1, 3), request);
      assert.deepEqual(valuesOf(loads ?? []), [
        'POSTGRES_QUERY_FAILED',
        { n: '200' },
        'POSTGRES_QUERY_FAILED',
        { n: '100' },
      ]);
      assert.equal(told.length, 1);
    });

    test('a statement that takes too long fails all: it is not repeated key by key', async () => {
      const asked: string[] = [];
      const hurried = new pg.Pool({ connectionString: server.url, max: 1, statement_timeout: 50 });
      const many = manyOf({ source: 'select pg_sleep(5)::text where {id} > 0' }, { primary: counted(hurried, asked) });
      await assert.rejects(many.loadMany(idsOf(1, 2, 3), request), (error) => isBusError(error, 'POSTGRES_TIMEOUT'));
      assert.equal(asked.length, 1);
      await hurried.end();
    });

    test('no statement has more than a thousand keys, and the first of a family few', async () => {
      const asked: string[] = [];
      const origin = originOf({ source: 'select id from users where id = {id}' }, { primary: counted(primary, asked) });
      const list = idsOf(...Array.from({ length: 5000 }, (_, i) => i + 1));
      const loads = await origin.many?.loadMany(list, request);
      assert.deepEqual(valuesOf(loads ?? []).slice(198, 202), [{ id: 199 }, { id: 200 }, null, null]);
      assert.equal(loads?.length, 5000);
      assert.ok(asked.length >= 6 && asked.length < 400, `${asked.length} statements`);
    });

    test('on a replica what is read is at least as new as the proof, and a token that it has not reached is asked of the primary', async () => {
      const source = 'select name from users where id = {id}';
      const held = heldPool(replica, async () => {
        await sql.query(`UPDATE public.users SET name = 'new' WHERE id IN (1, 2)`);
        await replayed();
      });
      const loads = await manyOf({ source, reads: 'replica' }, { primary, replica: held }).loadMany(
        idsOf(1, 2),
        request,
      );
      assert.deepEqual(valuesOf(loads), [{ name: 'new' }, { name: 'new' }]);
      await standby.query('SELECT pg_wal_replay_pause()');
      try {
        await sql.query(`UPDATE public.users SET name = 'newer' WHERE id IN (1, 2)`);
        const client = await primary.connect();
        const token = parseReadToken(printReadToken(await readTokenAfterWrite(client)));
        client.release();
        const many = manyOf({ source, reads: 'replica' }, { primary, replica });
        const demanding = await many.loadMany(idsOf(1, 2), { ...request, token });
        assert.deepEqual(valuesOf(demanding), [{ name: 'newer' }, { name: 'newer' }]);
        assert.ok(demanding.every((load) => load.kind === 'loaded' && load.loaded.evidence.kind === 'primary'));
      } finally {
        await standby.query('SELECT pg_wal_replay_resume()');
      }
    });
  });
}
