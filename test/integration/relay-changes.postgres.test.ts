import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { lsnFromPostgres } from '../../src/protocol/lsn.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { eventually } from '../support/eventually.ts';
import { configOf, RunningRelay, setUp } from '../support/running-relay.ts';

const FAMILIES = {
  user: { key: 'user:{id}', ttl: '1m', on: { users: { id: 'id' } }, tags: ['org:{org_id}'] },
  'org-members': { key: 'org:{org_id}:members', ttl: '1m', on: { users: { org_id: 'org_id' } } },
  product: { key: 'product:{id}', ttl: '1m', on: { products: { id: 'id' } } },
  document: { key: 'document:{slug}', ttl: '1m', on: { documents: { slug: 'slug' } } },
  'user-orders': { key: 'orders:{user_id}', ttl: '1m', on: { orders: { user_id: 'user_id' } } },
};
const SCHEMA = `
create table users (id bigint primary key, org_id bigint, name text);
create table orgs (id bigint primary key, name text);
create table products (id uuid primary key, name text);
create table documents (id bigint primary key, slug text, body text);
alter table documents alter column slug set storage external;
create table orders (id bigint, placed date, user_id bigint, primary key (id, placed)) partition by range (placed);
create table orders_2026 partition of orders for values from ('2026-01-01') to ('2027-01-01');
create table unrelated (id bigint primary key);
`;

for (const major of [15, 18] as const) {
  describe(`on PostgreSQL ${major}`, () => {
    let postgres: PostgresServer;
    let sql: Connection;
    let relay: RunningRelay;
    let markers = 0;

    before(async () => {
      postgres = await startPostgres({ major });
      sql = await connect(postgres.url, { applicationName: 'test', statementTimeoutMs: 60_000 });
      await sql.query('set search_path = public');
      await sql.query(SCHEMA);
      const config = configOf(postgres.url, FAMILIES, {
        tags: { 'org:{id}': { on: { orgs: { id: 'id' } } } },
        limits: { keysPerTransactionMax: 500 },
      });
      await setUp(sql, config);
      relay = new RunningRelay(config);
      await eventually('streaming', () => relay.state === 'streaming');
    });

    after(async () => {
      await relay?.stop();
      await sql?.close().catch(() => undefined);
      await postgres?.stop();
    });

    /** Runs SQL and returns what the relay made of it: everything before a marker that is sent behind it. */
    async function madeOld(...statements: string[]): Promise<string[]> {
      for (const statement of statements) await sql.query(statement);
      const marker = `marker:${(markers += 1)}`;
      await sql.query(`select pg_logical_emit_message(true, 'afterwrite', $1)`, [JSON.stringify({ tags: [marker] })]);
      return relay.news(marker);
    }

    test('insert, update, delete and a move between lists make old and new keys old', async () => {
      assert.deepEqual(await madeOld(`insert into users values (1, 7, 'a')`), ['org:7:members', 'user:1']);
      assert.deepEqual(await madeOld(`update users set name = 'b' where id = 1`), ['org:7:members', 'user:1']);
      assert.deepEqual(await madeOld(`update users set org_id = 8 where id = 1`), [
        'org:7:members',
        'org:8:members',
        'user:1',
      ]);
      assert.deepEqual(await madeOld(`update users set id = 2 where id = 1`), ['org:8:members', 'user:1', 'user:2']);
      assert.deepEqual(await madeOld(`update users set org_id = null where id = 2`), ['org:8:members', 'user:2']);
      assert.deepEqual(await madeOld(`delete from users where id = 2`), ['user:2']);
      assert.deepEqual(await madeOld(`insert into orgs values (7, 'x')`, `update orgs set name = 'y'`), ['#org:7']);
    });

    test('COPY carries every row, and a rolled-back savepoint carries none', async () => {
      const copied = await madeOld(`copy users from program 'printf "11\\t7\\ta\\n12\\t7\\tb\\n13\\t9\\tc\\n"'`);
      assert.deepEqual(copied, ['org:7:members', 'org:9:members', 'user:11', 'user:12', 'user:13']);
      const kept = await madeOld(
        'begin',
        `update users set name = 'k' where id = 11`,
        'savepoint s',
        `update users set name = 'r' where id = 12`,
        'rollback to s',
        `update users set name = 'k' where id = 13`,
        'commit',
      );
      assert.deepEqual(kept, ['org:7:members', 'org:9:members', 'user:11', 'user:13']);
      assert.deepEqual(await madeOld('begin', 'delete from users', 'rollback'), []);
    });

    test('TRUNCATE makes every family of the table old, of a leaf too', async () => {
      assert.deepEqual(await madeOld('truncate users'), ['org-members*', 'user*']);
      assert.deepEqual(await madeOld('truncate orders_2026'), ['user-orders*']);
      assert.deepEqual(await madeOld('truncate orgs'), ['user*'], 'which tags is unknown: all that carry labels');
    });

    test('an upper-case UUID is the key that a client prints', async () => {
      assert.deepEqual(await madeOld(`insert into products values ('6F1C0F5E-5D1E-4F0B-9D56-3F6F4C1F2A10', 'p')`), [
        'product:6f1c0f5e-5d1e-4f0b-9d56-3f6f4c1f2a10',
      ]);
    });

    test('a TOASTed key column that an update does not touch is still known, and one too long widens', async () => {
      await sql.query(`insert into documents values (1, repeat('x', 900), 'a')`);
      await sql.query(`insert into documents values (2, repeat('y', 100000), 'a')`);
      await madeOld();
      assert.deepEqual(await madeOld(`update documents set body = 'b' where id = 1`), [`document:${'x'.repeat(900)}`]);
      assert.deepEqual(await madeOld(`update documents set body = 'b' where id = 2`), ['document*']);
    });

    test('partitions are their root: attached and detached while the relay runs', async () => {
      assert.deepEqual(await madeOld(`insert into orders values (1, '2026-02-01', 42)`), ['orders:42']);
      await sql.query(`create table orders_2027 partition of orders for values from ('2027-01-01') to ('2028-01-01')`);
      const attached = await madeOld(`insert into orders values (2, '2027-02-01', 43)`);
      // Between the description and the row the catalog may have been read.
      if (!attached.includes('orders:43')) {
        const alike = ['product*', 'user-orders*', 'user*'];
        assert.deepEqual(attached, alike, 'unknown at first: widened to all that have such columns, not skipped');
      }
      let id = 100;
      await eventually('the catalog was read again', async () => {
        const items = await madeOld(`insert into orders values (${(id += 1)}, '2027-03-01', 44)`);
        return items.length === 1 && items[0] === 'orders:44';
      });
      assert.deepEqual(
        await madeOld(
          'begin',
          `update orders set user_id = 45 where id = 1`,
          'alter table orders detach partition orders_2026',
          'commit',
        ),
        ['orders:42', 'orders:45'],
      );
    });

    test('ALTER TABLE in mid-stream: new columns, dropped columns, a column of another type, a new name', async () => {
      await sql.query(`insert into users values (1, 7, 'a')`);
      await madeOld();
      assert.deepEqual(
        await madeOld(
          'alter table users add column age int',
          `update users set age = 3 where id = 1`,
          'alter table users drop column age',
          `update users set name = 'z' where id = 1`,
        ),
        ['org:7:members', 'user:1'],
      );
      assert.deepEqual(
        await madeOld('alter table users rename to customers', `update customers set name = 'q' where id = 1`),
        ['org:7:members', 'user:1'],
        'known by its OID',
      );
      await madeOld('alter table customers rename to users');
      assert.deepEqual(
        await madeOld('alter table users alter column org_id type numeric', `update users set name = 'n' where id = 1`),
        ['org-members*', 'user:1'],
      );
      await madeOld('alter table users alter column org_id type bigint');
    });

    test('many keys of a family in one transaction become the family', async () => {
      const items = await madeOld(`insert into users select n, 1, 'bulk' from generate_series(10001, 12000) n`);
      assert.ok(items.includes('user*') && items.includes('org:1:members'));
      assert.equal(items.filter((item) => item.startsWith('user:')).length, 500);
    });

    test('a message of the application commits with its transaction, and what it cannot say widens', async () => {
      const emit = (message: string): string => `select pg_logical_emit_message(true, 'afterwrite', '${message}')`;
      assert.deepEqual(await madeOld('begin', emit('{"families":["product"]}'), 'rollback'), []);
      assert.deepEqual(
        await madeOld(emit('{"families":["product"],"keys":[{"family":"user","params":{"id":"9"}}],"tags":["org:3"]}')),
        ['#org:3', 'product*', 'user:9'],
      );
      assert.deepEqual(await madeOld(emit('{"familys":["product"]}')), [
        'document*',
        'org-members*',
        'product*',
        'user-orders*',
        'user*',
      ]);
      assert.deepEqual(await madeOld(`select pg_logical_emit_message(true, 'other', 'not ours')`), []);
    });

    test('an idle source advances its slot under traffic that is not published', async () => {
      const confirmed = async (): Promise<bigint> => {
        const [row] = await sql.query<{ lsn: string }>(
          'select confirmed_flush_lsn::text as lsn from pg_replication_slots',
        );
        return lsnFromPostgres(row?.lsn ?? '');
      };
      await sql.query('insert into unrelated select generate_series(1, 50000)');
      const [row] = await sql.query<{ lsn: string }>('select pg_current_wal_lsn()::text as lsn');
      const end = lsnFromPostgres(row?.lsn ?? '');
      await eventually('confirmed past what was never sent', async () => (await confirmed()) >= end);
    });

    test('the server stops fast within 2 s while the relay is attached, and after it the same source epoch goes on', async (t) => {
      await madeOld(`update users set name = 'before' where id = 1`);
      await sql.close();
      const startedAt = performance.now();
      await postgres.primary?.stop('fast');
      const tookMs = performance.now() - startedAt;
      t.diagnostic(`stopped after ${Math.round(tookMs)} ms`);
      assert.ok(tookMs < 2000);
      // Another instance than the one that the server stops by itself: left running, it would keep this process from its end.
      const again = await postgres.primary?.start();
      t.after(() => again?.stop('immediate'));
      sql = await connect(postgres.url, { applicationName: 'test' });
      await sql.query('set search_path = public');
      await eventually('streaming again', () => relay.epochs.length > 1 && relay.state === 'streaming');
      const [first, next] = relay.epochs.map((epoch) => epoch.split(' '));
      assert.deepEqual([first?.[1], next], ['first', [first?.[0], 'none']]);
      assert.ok((await madeOld(`update users set name = 'after' where id = 1`)).includes('user:1'));
    });
  });
}
