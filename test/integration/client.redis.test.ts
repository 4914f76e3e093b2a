import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion } from '../support/cache-region.ts';

let server: RedisServer;
let region: CacheRegion;

before(async () => {
  server = await startRedis();
  region = await CacheRegion.open(server.url);
  await region.begin();
});
afterEach(() => region.closeCaches());
after(async () => {
  await region?.close();
  await server?.stop();
});

test('a miss loads and stores, and the next read is answered by Redis, in this process and another', async () => {
  let loads = 0;
  const load = async () => ({ v: ++loads });
  const notes = await region.family('note', load);
  assert.deepEqual(await notes.get({ id: 'a1' }), { v: 1 });
  assert.deepEqual(await notes.get({ id: 'a1' }), { v: 1 });
  const others = await region.family('note', load);
  assert.deepEqual(await others.get({ id: 'a1' }), { v: 1 });
  assert.equal(loads, 1);
});
