import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import pg from 'pg';
import { isBusError } from '../../src/protocol/errors.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion } from '../support/cache-region.ts';

let postgres: PostgresServer;
let server: RedisServer;
let region: CacheRegion;
let primary: pg.Pool;

before(async () => {
  [postgres, server] = await Promise.all([startPostgres(), startRedis()]);
  primary = new pg.Pool({ connectionString: postgres.url });
  await primary.query('create table rows (id text primary key, name text not null)');
  await primary.query(`insert into rows values ('1', 'Ann')`);
  region = await CacheRegion.open(server.url);
  await region.begin();
});
afterEach(() => region.closeCaches());
after(async () => {
  await region?.close();
  await primary?.end();
  await Promise.all([server?.stop(), postgres?.stop()]);
});

test('a family with a source is loaded from the pool, stored, and loaded anew after its eviction', async () => {
  const cache = await region.cache({ postgres: { primary } });
  const row = cache.family<{ readonly id: string; readonly name: string }>('row');
  assert.deepEqual(await row.get({ id: '1' }), { id: '1', name: 'Ann' });
  await primary.query(`update rows set name = 'Bea' where id = '1'`);
  assert.deepEqual(await row.get({ id: '1' }), { id: '1', name: 'Ann' }, 'from Redis');
  await region.evict(['row:1']);
  assert.deepEqual(await row.get({ id: '1' }), { id: '1', name: 'Bea' });
  assert.equal(await row.get({ id: '2' }), null);
  await primary.query(`insert into rows values ('2', 'Cid')`);
  assert.equal(await row.get({ id: '2' }), null, 'absence is stored too');
});

test('a token of afterWrite goes past a region that has not seen the write', async () => {
  const cache = await region.cache({ postgres: { primary }, tokenWaitMs: 1 });
  const row = cache.family<{ readonly name: string }>('row');
  await row.get({ id: '1' });
  await primary.query(`update rows set name = 'Dan' where id = '1'`);
  const token = await cache.afterWrite();
  assert.equal((await row.get({ id: '1' }, { token }))?.name, 'Dan');
  const client = await primary.connect();
  await client.query('begin');
  await assert.rejects(cache.afterWrite(client), (error) => isBusError(error, 'POSTGRES_IN_TRANSACTION'));
  await client.query('commit');
  assert.match(await cache.afterWrite(client), /^00000001:[0-9a-f]{16}$/);
  client.release();
});

test('a pool that leads elsewhere is refused at the start, and one that cannot be asked is told of', async () => {
  await assert.rejects(region.cache({ postgres: { replica: primary } }), (error) =>
    isBusError(error, 'POSTGRES_POOL_MISDIRECTED'),
  );
  const away = new pg.Pool({ connectionString: 'postgres://postgres@127.0.0.1:1/postgres' });
  const cache = await region.cache({ postgres: { primary: away } });
  assert.ok(
    region.events.some(({ code, error }) => code === 'pool-unfit' && isBusError(error, 'POSTGRES_UNREACHABLE')),
  );
  await assert.rejects(cache.family('row').get({ id: '7' }), (error) => isBusError(error, 'POSTGRES_UNREACHABLE'));
  await away.end();
});

test('a pool that never has a client free keeps neither a read nor afterWrite waiting for ever', async () => {
  const busy = new pg.Pool({ connectionString: postgres.url, max: 1 });
  const cache = await region.cache({ postgres: { primary: busy }, loadTimeoutMs: 200, drainWaitMs: 100 });
  const taken = await busy.connect();
  await assert.rejects(cache.afterWrite(), (error) => isBusError(error, 'POSTGRES_UNREACHABLE'));
  await assert.rejects(cache.family('row').get({ id: '8' }), (error) => isBusError(error, 'CACHE_LOAD_TIMEOUT'));
  await cache.drain();
  taken.release();
  await busy.end();
});
