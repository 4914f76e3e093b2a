import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion } from '../support/cache-region.ts';
import { eventually } from '../support/eventually.ts';

// Redis answers, but not as it should: each read is answered all the same, and the reason is told.
let server: RedisServer;
let region: CacheRegion;
let redis: ReturnType<CacheRegion['redis']>;
let loads: number;

before(async () => {
  server = await startRedis();
  region = await CacheRegion.open(server.url);
});
beforeEach(async () => {
  redis = region.redis();
  await redis.flushall();
  await region.begin();
  loads = 0;
});
afterEach(() => region.closeCaches());
after(async () => {
  await region?.close();
  await server?.stop();
});

const ID = { id: 'a1' };
const KEY = 'shop:note:a1';
const load = async (): Promise<{ v: number }> => ({ v: ++loads });
const told = (code: string): string | undefined =>
  region.events
    .filter((event) => event.code === code)
    .map(({ message, error }) => `${message} ${error instanceof Error ? error.message : ''}`)[0];

test('a user of Redis that may not write, or lost his password, is told of, not taken for a Redis that is away', async () => {
  await redis.acl('SETUSER', 'reader', 'reset', 'on', '>pw', '~*', '&*', '+@all', '-set');
  const cache = await region.cache({ redis: region.redis({ username: 'reader', password: 'pw' }), failureMemoryMs: 0 });
  const notes = cache.family('note', { reads: 'primary', load });
  assert.deepEqual(await notes.get(ID), { v: 1 });
  assert.match(told('redis-denied') ?? '', /user executing|ACL/);

  const second = await region.cache({ redis: region.redis({ username: 'reader', password: 'pw' }), breakerWaitMs: 20 });
  region.events.length = 0;
  await redis.acl('SETUSER', 'reader', 'resetpass', '>other');
  await redis.call('CLIENT', 'KILL', 'USER', 'reader');
  const others = second.family('note', { reads: 'primary', load });
  await eventually('the refusal', async () => {
    await others.get(ID);
    return told('redis-denied') !== undefined;
  });
  assert.match(told('redis-denied') ?? '', /WRONGPASS/);
  await redis.acl('DELUSER', 'reader');
});

test('a server that was made a replica is left for whoever the address leads to then', async () => {
  const cache = await region.cache({ failureMemoryMs: 0, breakerWaitMs: 20 });
  const notes = cache.family('note', { reads: 'primary', load });
  await notes.get(ID);
  const idOf = async (): Promise<string | undefined> =>
    /id=(\d+) .*name=afterwrite-client-shop /.exec(String(await redis.client('LIST')))?.[1];
  const before = await idOf();
  await redis.replicaof('127.0.0.1', 1);
  try {
    assert.deepEqual(await notes.get({ id: 'b' }), { v: 2 }, 'answered, though nothing can be stored');
    await eventually('a new connection', async () => ![undefined, before].includes(await idOf()));
  } finally {
    await redis.replicaof('NO', 'ONE');
  }
  await eventually('Redis again', async () => {
    const { stored } = cache.stats();
    await notes.get({ id: `c${loads}` });
    return cache.stats().stored > stored;
  });
});

test('a Redis whose memory is full, and a key of another type, are told of, and what is read is loaded', async () => {
  const cache = await region.cache({ failureMemoryMs: 0 });
  const notes = cache.family('note', { reads: 'primary', load });
  await redis.config('SET', 'maxmemory-policy', 'noeviction');
  await redis.config('SET', 'maxmemory', '1');
  assert.deepEqual(await notes.get(ID), { v: 1 });
  assert.match(told('redis-error') ?? '', /OOM/);
  assert.equal(await notes.evict(ID), 'evicted', 'an eviction needs no memory');
  await redis.config('SET', 'maxmemory', '0');
  await redis.hset(KEY, 'a', '1');
  assert.deepEqual(await notes.get(ID), { v: 2 });
  assert.equal(await notes.evict(ID), 'evicted');
  assert.equal(await redis.exists(KEY), 0);
  assert.equal(cache.stats().redis, 'closed');
});

test('a client of the application that speaks RESP3 does as well', async () => {
  const cache = await region.cache({ redis: region.redis({ protocol: 3, replyMapping: 'resp3' }) });
  const notes = cache.family('note', { reads: 'primary', load });
  await notes.get(ID);
  assert.deepEqual(await notes.get(ID), { v: 1 });
  assert.deepEqual([cache.stats().stored, cache.stats().hits], [1, 1]);
});
