import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { Cluster } from 'ioredis';
import type { Cache } from '../../src/client/cache.ts';
import type { CacheFamily } from '../../src/client/cache-family.ts';
import type { CacheOptions } from '../../src/index.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, LOCAL_FILE, openApplicationRedis } from '../support/cache-region.ts';
import { eventually } from '../support/eventually.ts';
import { startTcpProxy, type TcpProxy } from '../support/tcp-proxy.ts';
import { stopProcess } from '../support/stop-process.ts';

// Where a bound is not what is tested it is a minute: then only what Redis tells explains that a value is gone.
const MINUTE = { localStaleMs: 60_000 };
const ID = { id: 'a1' };
const READING = 'afterwrite-client-shop\r\n';
const TRACKING = 'afterwrite-client-shop-tracking';

interface Near {
  readonly v: number;
  readonly org_id: number;
}
type Family = CacheFamily<Near, { id: string }>;

let server: RedisServer;
let region: CacheRegion;
let redis: ReturnType<CacheRegion['redis']>;
let proxy: TcpProxy;
/** What a load returns. */
let version: number;
const closing: (() => unknown)[] = [];

before(async () => {
  server = await startRedis();
  region = await CacheRegion.open(server.url);
});
beforeEach(async () => {
  redis = region.redis();
  await redis.flushall();
  await region.begin();
  version = 1;
  proxy = await startTcpProxy({ host: '127.0.0.1', port: portOf(server.url) });
});
afterEach(async () => {
  server.process?.kill('SIGCONT');
  await region.closeCaches();
  for (const close of closing.splice(0)) await close();
  await proxy.close();
});
after(async () => {
  await region?.close();
  await server?.stop();
});

const portOf = (url: string): number => Number(new URL(url).port);

async function open(options: Partial<CacheOptions> = {}, name = 'near'): Promise<{ cache: Cache; near: Family }> {
  const cache = await region.cache({ config: { text: LOCAL_FILE }, ...MINUTE, ...options });
  const load = async (): Promise<Near> => ({ v: version, org_id: 7 });
  return { cache, near: cache.family<Near, { id: string }>(name, { reads: 'primary', load }) };
}

function throughProxy(): CacheOptions['redis'] {
  const own = openApplicationRedis(`redis://127.0.0.1:${proxy.port}`);
  closing.push(() => own.disconnect());
  return own;
}

/** Reads until the answer comes from memory. */
async function warm(cache: Cache, near: Family, params = ID): Promise<Near | null> {
  return eventually('an answer from memory', async () => {
    const { localHits } = cache.stats();
    const value = await near.get(params);
    return cache.stats().localHits > localHits ? value : undefined;
  });
}

/** Reads until the answer does not come from memory. */
async function gone(cache: Cache, near: Family, params = ID): Promise<Near | null> {
  return eventually('an answer that is not from memory', async () => {
    const { localHits } = cache.stats();
    const value = await near.get(params);
    return cache.stats().localHits === localHits ? value : undefined;
  });
}

async function readsStayOutside(cache: Cache, near: Family): Promise<void> {
  const { localHits } = cache.stats();
  for (let i = 0; i < 20; i++) await near.get({ id: `x${i % 3}` });
  assert.equal(cache.stats().localHits, localHits);
}

async function idOf(name: string): Promise<string> {
  return eventually(`a connection ${name}`, async () => {
    const list = String(await redis.client('LIST'));
    const line = list.split('\n').find((one) => one.includes(` name=${name} `));
    return line === undefined ? undefined : /^id=(\d+)/.exec(line)?.[1];
  });
}

test('a value that was read from Redis is answered from memory, tagged too, without a command', async () => {
  const { cache, near } = await open();
  await warm(cache, near);
  await stopProcess(server.process?.pid);
  const { localHits } = cache.stats();
  for (let i = 0; i < 10; i++) assert.deepEqual(await near.get(ID), { v: 1, org_id: 7 });
  assert.equal(cache.stats().localHits, localHits + 10);
});

async function isToldOfEveryCause(name: 'near' | 'near-plain'): Promise<void> {
  const { cache, near } = await open({}, name);
  const key = `${name}:a1`;
  const causes: Record<string, () => Promise<unknown>> = {
    'the bus': () => (name === 'near' ? region.evict([key]) : region.evictPlain([key])),
    'a DEL': () => redis.del(`shop:${key}`),
    'a SET': () => redis.set(`shop:${key}`, 'of another service'),
    'the family’s mark': () => region.markFamily(name),
    'an epoch': () => region.begin(),
    FLUSHALL: async () => {
      await redis.flushall();
      await region.begin();
    },
    ...(name === 'near' ? { 'the tag’s mark': () => region.markTag('org:7') } : {}),
  };
  for (const [cause, happens] of Object.entries(causes)) {
    await warm(cache, near);
    version += 1;
    await happens();
    // A plain value of another service is taken as it is, or not at all; it is only not the one in memory.
    await gone(cache, near);
    if (cause === 'a SET') await region.evictPlain([key]);
    await eventually(`a load after ${cause}`, async () => (await near.get(ID))?.v === version);
  }
}

test('whatever makes a value old in Redis takes it out of memory', () => isToldOfEveryCause('near'));

test('whatever makes a plain value old in Redis takes it out of memory', () => isToldOfEveryCause('near-plain'));

test('what is invalidated of one key leaves the others where they are', async () => {
  const { cache, near } = await open();
  for (const id of ['a1', 'b']) await warm(cache, near, { id });
  await region.evict(['near:b']);
  await gone(cache, near, { id: 'b' });
  const { localHits } = cache.stats();
  await near.get(ID);
  assert.equal(cache.stats().localHits, localHits + 1);
});

test('a reply that is overtaken by its invalidation is not kept', async () => {
  const writer = await open();
  await writer.near.get({ id: 'b' });
  const { cache, near } = await open({ redis: throughProxy(), commandTimeoutMs: 60_000 });
  await warm(cache, near, { id: 'c' });
  proxy.keepBack(READING);
  const reading = near.get({ id: 'b' });
  await eventually('the reply', () => proxy.keeps('org_id'));
  version = 2;
  await region.evict(['near:b']);
  await region.evict(['near:c']);
  // Told in this order, so once c is gone b has been told.
  const { localHits } = cache.stats();
  let asked = 0;
  const pending: Promise<unknown>[] = [];
  await eventually('c out of memory', () => {
    asked += 1;
    pending.push(near.get({ id: 'c' }));
    return cache.stats().localHits < localHits + asked;
  });
  proxy.letGo();
  assert.deepEqual(await reading, { v: 1, org_id: 7 });
  await Promise.all(pending);
  assert.equal((await near.get({ id: 'b' }))?.v, 2);
});

async function isEmptiedByTheLossOf(name: string): Promise<void> {
  const { cache, near } = await open();
  await warm(cache, near);
  const id = await idOf(name);
  await redis.client('KILL', 'ID', id);
  await gone(cache, near);
  await warm(cache, near);
  assert.notEqual(await idOf(name), id);
  version = 2;
  await region.evict(['near:a1']);
  await eventually('the new value', async () => (await near.get(ID))?.v === 2);
}

test('memory is emptied when the tracking connection is lost, and used again when all is told again', () =>
  isEmptiedByTheLossOf('afterwrite-client-shop-tracking'));

test('memory is emptied when the reading connection is lost, and used again when all is told again', () =>
  isEmptiedByTheLossOf('afterwrite-client-shop'));

test('with a tracking connection that is silent and not closed nothing is served for longer than the bound, and nothing kept', async () => {
  const { cache, near } = await open({ redis: throughProxy(), localStaleMs: 500 });
  await warm(cache, near);
  const id = await idOf(TRACKING);
  proxy.keepBack(TRACKING);
  version = 2;
  await region.evict(['near:a1']);
  await eventually('the new value', async () => (await near.get(ID))?.v === 2);
  await eventually('another tracking connection', async () => (await idOf(TRACKING)) !== id);
  await readsStayOutside(cache, near);
  proxy.letGo();
  assert.equal((await warm(cache, near))?.v, 2);
});

test('with a reading connection that is silent nothing is served for longer than the bound', async () => {
  const { cache, near } = await open({ redis: throughProxy(), localStaleMs: 500, commandTimeoutMs: 200 });
  await warm(cache, near);
  const id = await idOf('afterwrite-client-shop');
  proxy.swallowRequests();
  // The server forgets what was read on it, and the client is not told that it is gone.
  await redis.client('KILL', 'ID', id);
  version = 2;
  await region.evict(['near:a1']);
  await eventually('the new value', async () => (await near.get(ID))?.v === 2);
  proxy.pass();
  assert.equal((await warm(cache, near))?.v, 2);
});

test('a server that becomes a replica under standing connections empties memory, and nothing enters until a primary is there', async () => {
  const { cache, near } = await open();
  await warm(cache, near);
  await redis.call('REPLICAOF', '127.0.0.1', '1');
  try {
    await gone(cache, near);
    await readsStayOutside(cache, near);
  } finally {
    await redis.call('REPLICAOF', 'NO', 'ONE');
  }
  await warm(cache, near);
});

test('a failover empties memory, and the new primary tells from then on', async () => {
  const second = await startRedis();
  closing.push(() => second.stop());
  const other = openApplicationRedis(second.url);
  closing.push(() => other.disconnect());
  const { cache, near } = await open({ redis: throughProxy() });
  await warm(cache, near);
  await redis.config('SET', 'repl-diskless-sync-delay', '0');
  await other.call('REPLICAOF', '127.0.0.1', String(portOf(server.url)));
  await eventually('the copy', async () => (await other.exists('shop:near:a1')) === 1);
  await other.call('REPLICAOF', 'NO', 'ONE');
  version = 2;
  // What the old primary no longer tells.
  await other.del('shop:near:a1');
  await proxy.retarget({ host: '127.0.0.1', port: portOf(second.url) });
  await eventually('the new value', async () => (await near.get(ID))?.v === 2);
  await warm(cache, near);
  version = 3;
  await other.del('shop:near:a1');
  await eventually('the value after', async () => (await near.get(ID))?.v === 3);
});

test('while the two connections are at two servers nothing enters: the number of a client is another’s there', async () => {
  const second = await startRedis();
  closing.push(() => second.stop());
  const other = openApplicationRedis(second.url);
  closing.push(() => other.disconnect());
  // So that each number exists here too.
  for (let i = 0; i < 20; i++) await region.redis().ping();
  const own = openApplicationRedis(server.url);
  const duplicate = own.duplicate.bind(own);
  const split = Object.assign(own, {
    duplicate: (more: { connectionName: string }) =>
      more.connectionName.endsWith('-tracking')
        ? openApplicationRedis(second.url, { ...more, lazyConnect: true })
        : duplicate(more),
  });
  closing.push(() => own.disconnect());
  const { cache, near } = await open({ redis: split });
  await eventually('a redirection', async () => /redir=[1-9]/.test(String(await redis.client('LIST'))));
  await readsStayOutside(cache, near);
  assert.equal(cache.stats().localHits, 0);
});

test('an own eviction takes a value out of memory at once, kept or sent; reads with a token or a bound go past memory', async () => {
  const { cache, near } = await open({ commandTimeoutMs: 100, breakerWaitMs: 20 });
  await warm(cache, near);
  const { localHits } = cache.stats();
  await near.get(ID, { maxStalenessMs: 60_000 });
  await near.get(ID, { token: region.tokenAt(region.lastLsn) });
  assert.equal(cache.stats().localHits, localHits);
  await stopProcess(server.process?.pid);
  version = 3;
  assert.equal(await near.evict(ID), 'kept');
  assert.equal((await near.get(ID))?.v, 3);
});

test('an own eviction is not waited for to be told, nor does a read that was under way meanwhile bring the value back', async () => {
  const { cache, near } = await open({ redis: throughProxy() });
  await warm(cache, near);
  proxy.keepBack(TRACKING);
  version = 2;
  assert.equal(await near.evict(ID), 'evicted');
  assert.equal((await near.get(ID))?.v, 2);
  version = 3;
  const evicting = near.evict(ID);
  const reading = near.get(ID);
  assert.equal(await evicting, 'evicted');
  await reading;
  assert.equal((await near.get(ID))?.v, 3);
});

test('Redis remembers of a read the value and its cell’s state alone', async () => {
  const writer = await open({ localEntriesMax: 0 });
  await writer.near.get(ID);
  const { cache, near } = await open();
  await warm(cache, near);
  assert.match(await redis.info('stats'), /tracking_total_keys:2\r/);
  await region.apply();
  const { localHits } = cache.stats();
  await near.get(ID);
  assert.equal(cache.stats().localHits, localHits + 1, 'a record of the log tells of no value');
});

test('with a Redis Cluster values are read from Redis, and it is said', async () => {
  const cluster = new Cluster([{ host: '127.0.0.1', port: 1 }], { lazyConnect: true });
  cluster.on('error', () => undefined);
  closing.push(() => cluster.disconnect());
  const { near } = await open({ redis: cluster });
  await near.get(ID);
  const said = region.events.filter(({ code }) => code === 'local-off');
  assert.equal(said.length, 1);
  assert.match(said[0]?.message ?? '', /Cluster.*near/);
});

test('each caller has a value of his own; where they are shared it is frozen', async () => {
  const copied = await open();
  const [one, two] = [await warm(copied.cache, copied.near), await warm(copied.cache, copied.near)];
  assert.deepEqual(one, two);
  assert.notEqual(one, two);
  const shared = await open({ localValues: 'shared' });
  const value = await warm(shared.cache, shared.near);
  assert.equal(await warm(shared.cache, shared.near), value);
  assert.ok(Object.isFrozen(value));
});

test('where Redis does not allow it, values are read from Redis, and it is said once', async () => {
  await redis.call('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-client|tracking');
  const url = new URL(server.url);
  url.username = 'app';
  url.password = 'secret';
  const own = openApplicationRedis(url.href);
  closing.push(() => own.disconnect());
  const { cache, near } = await open({ redis: own });
  const said = (): unknown[] => region.events.filter(({ code }) => code === 'local-off');
  await eventually('the event', () => said().length > 0);
  await readsStayOutside(cache, near);
  assert.equal(said().length, 1);
  await redis.call('ACL', 'SETUSER', 'app', '+client|tracking');
  await warm(cache, near);
});
