import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { createCache } from '../../src/index.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, FILE } from '../support/cache-region.ts';
import { eventually } from '../support/eventually.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';
import { stopProcess } from '../support/stop-process.ts';

// Redis frozen, killed and away. The command deadline is long where it is not what is tested: a busy machine is no Redis that is away.
let server: RedisServer;
let region: CacheRegion;
let loads: number;

before(async () => {
  server = await startRedis();
  region = await CacheRegion.open(server.url);
});
beforeEach(async () => {
  loads = 0;
  await region.redis().flushall();
  await region.begin();
});
afterEach(async () => {
  server.process?.kill('SIGCONT');
  await region.closeCaches();
});
after(async () => {
  await region?.close();
  await server?.stop();
});

const ID = { id: 'a1' };
const load = async (): Promise<{ v: number }> => ({ v: ++loads });
const freeze = (): Promise<void> => stopProcess(server.process?.pid);
const thaw = (): void => server.process?.kill('SIGCONT');

test('reads go to the loader while Redis is frozen, one load at a time for all callers, and to Redis again when it goes on', async () => {
  const cache = await region.cache({ commandTimeoutMs: 100, breakerWaitMs: 20 });
  let underWay = 0;
  let most = 0;
  const counted = async (): Promise<{ v: number }> => {
    most = Math.max(most, ++underWay);
    await new Promise((resolve) => setImmediate(resolve));
    underWay -= 1;
    return load();
  };
  const notes = cache.family('note', { reads: 'primary', load: counted });
  assert.deepEqual(await notes.get(ID), { v: 1 });
  await freeze();
  const values = await Promise.all(Array.from({ length: 20 }, () => notes.get(ID)));
  for (const value of values) assert.ok((value?.v ?? 0) > 1, 'loaded');
  // How many there are in all depends on how far apart the callers’ commands were late.
  assert.equal(most, 1);
  assert.ok(loads < 20, `${loads} loads for 20 callers`);
  await eventually('the breaker', async () => {
    await notes.get(ID);
    return cache.stats().redis !== 'closed';
  });
  assert.ok(region.events.some(({ code }) => code === 'redis-away'));
  thaw();
  await eventually('Redis again', async () => {
    const { hits } = cache.stats();
    await notes.get(ID);
    return cache.stats().hits > hits;
  });
  assert.ok(region.events.some(({ code }) => code === 'redis-back'));
});

test('a lease that was asked for while Redis was frozen does not stand when it goes on', async () => {
  const cache = await region.cache({ commandTimeoutMs: 300, breakerFailures: 100, loadTimeoutMs: 120_000 });
  const loader = new ScriptedLoader();
  const notes = cache.family('note', { reads: 'primary', load: loader.load });
  const redis = region.redis();
  // Lets the read pass and freezes Redis before the lease.
  const place = Array.from({ length: 32 }, (_, i) => notes.get({ id: `x${i}` }));
  await loader.called(31);
  const reading = notes.get(ID);
  await eventually('the miss', () => cache.stats().misses === 33);
  await freeze();
  for (let i = 0; i < 32; i++) await loader.answer({ v: i }, i);
  await loader.answer({ v: 99 }, 32);
  assert.deepEqual(await reading, { v: 99 });
  thaw();
  await Promise.all(place);
  await eventually('no lease', async () => (await redis.get('shop:note:a1')) === null);
});

test('evictions that cannot be sent are kept, read through meanwhile, and sent before anything of the key is served', async () => {
  const cache = await region.cache({ commandTimeoutMs: 100, breakerWaitMs: 20 });
  const notes = cache.family('note', { reads: 'primary', load });
  await notes.get(ID);
  await notes.get({ id: 'b' });
  await freeze();
  assert.equal(await notes.evict(ID), 'kept');
  assert.equal(cache.stats().evictionsWaiting, 1);
  assert.notDeepEqual(await notes.get(ID), { v: 1 });
  thaw();
  const seen: unknown[] = [];
  await eventually('the eviction', async () => {
    seen.push(await notes.get(ID));
    return cache.stats().evictionsWaiting === 0;
  });
  seen.push(await notes.get(ID));
  for (const value of seen) assert.notDeepEqual(value, { v: 1 }, 'what was to be evicted is not served');
  await eventually('the other key', async () => (await notes.get({ id: 'b' }))?.v === 2);
});

test('the connection to a frozen Redis is given up once, however often the breaker has tried it', async () => {
  const warnings: string[] = [];
  const onWarning = ({ name }: Error): void => void warnings.push(name);
  process.on('warning', onWarning);
  try {
    const cache = await region.cache({ commandTimeoutMs: 10, breakerWaitMs: 1 });
    const notes = cache.family('note', { reads: 'primary', load });
    await notes.get(ID);
    await freeze();
    await eventually('many failures', async () => {
      await notes.get(ID);
      return cache.stats().redisFailures > 40;
    });
    assert.deepEqual(warnings, []);
    thaw();
    await eventually('a hit', async () => {
      const { hits } = cache.stats();
      await notes.get(ID);
      return cache.stats().hits > hits;
    });
  } finally {
    process.off('warning', onWarning);
  }
});

test('a Redis that is killed and comes back empty is read again, on a new connection', async () => {
  const cache = await region.cache({ breakerWaitMs: 20 });
  const notes = cache.family('note', { reads: 'primary', load });
  await notes.get(ID);
  await server.process?.stop('SIGKILL');
  assert.ok(((await notes.get(ID))?.v ?? 0) > 1);
  assert.equal(await notes.evict(ID), 'kept');
  await region.close();
  server = await startRedis({ port: server.port });
  region = await CacheRegion.open(server.url);
  await region.begin();
  const again = await region.cache();
  const others = again.family('note', { reads: 'primary', load });
  await others.get(ID);
  assert.equal(again.stats().stored, 1);
});

test('without Redis from the start the cache opens, and what is read goes to the loader', async () => {
  const redis = region.redis({ host: '127.0.0.1', port: 1, retryStrategy: () => null });
  const cache = await createCache({ config: { text: FILE }, region: 'eu', redis, onEvent: () => undefined });
  const notes = cache.family<{ v: number }, { id: string }>('note', { reads: 'primary', load });
  assert.deepEqual(await notes.get(ID), { v: 1 });
  await cache.drain();
});

test('a server that refuses the password is told at once', async () => {
  const redis = region.redis();
  await redis.config('SET', 'requirepass', 's3cret');
  try {
    await assert.rejects(region.cache(), { code: 'REDIS_DENIED' });
  } finally {
    await region.redis({ password: 's3cret' }).config('SET', 'requirepass', '');
  }
});

test('a keyPrefix of the application’s instance is not put before the bus’s keys, and its database is kept', async () => {
  const cache = await region.cache({ redis: region.redis({ keyPrefix: 'mine:' }) });
  await cache.family('note', { reads: 'primary', load }).get(ID);
  assert.notEqual(await region.redis().get('shop:note:a1'), null);
  const other = await region.cache({ redis: region.redis({ db: 1 }) });
  await other.family('note', { reads: 'primary', load }).get(ID);
  assert.equal(other.stats().stored, 0, 'nothing is published in database 1');
});
