import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Cluster } from 'ioredis';
import pg from 'pg';
import type { Cache } from '../../src/client/cache.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { keyspaceOf } from '../../src/config/region-keyspace.ts';
import { createCache } from '../../src/index.ts';
import { cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import type { Keyspace } from '../../src/protocol/keyspace.ts';
import { type RedisCluster, startRedisCluster } from '../../src/stack/redis-cluster.ts';
import { eventually } from '../support/eventually.ts';
import { untilBegun } from '../support/region-begun.ts';
import { openStage, type Stage } from '../support/stage.ts';

// The published client on a real Redis Cluster of three masters, behind a real relay and agent.
const CELLS = 12;
const USERS = 60;
const SCHEMA = 'create table public.users (id bigint primary key, org_id bigint not null, name text not null);';
const FAMILIES = {
  user: {
    key: 'user:{id}',
    ttl: '10m',
    source: 'select id, name, org_id from users where id = {id}',
    on: { users: { id: 'id' } },
    tags: ['org:{org_id}'],
  },
  note: { key: 'note:{id}', ttl: '10m', load: true, on: { users: { id: 'id' } } },
};
const TAGS = { 'org:{id}': { on: { users: { org_id: 'id' } } } };

interface User {
  readonly id: string;
  readonly name: string;
}

let stage: Stage;
let cluster: RedisCluster;
let redis: Cluster;
let primary: pg.Pool;
let path: string;
let keyspace: Keyspace;
const caches: Cache[] = [];

before(async () => {
  [stage, cluster] = await Promise.all([
    openStage({ log: 'redis-streams', schema: SCHEMA, families: FAMILIES, tags: TAGS, partitions: CELLS }),
    startRedisCluster(),
  ]);
  const place = JSON.stringify({ cluster: cluster.urls });
  path = await stage.withUrls((text) => text.replace(`redis: ${stage.cache.url}`, `redis: ${place}`));
  const config = await loadConfig([path], {});
  const region = config.regions.get('eu');
  assert.ok(region !== undefined);
  keyspace = keyspaceOf(config, region);
  redis = new Cluster(cluster.nodes.map(({ port }) => ({ host: '127.0.0.1', port })));
  redis.on('error', () => undefined);
  primary = new pg.Pool({ connectionString: stage.url });
  await primary.query(`insert into users select n, n % 3, 'old' from generate_series(1, ${USERS}) n`);
  await stage.startAgent('agent', path);
  await stage.startRelay('relay', path);
  await untilBegun(redis, keyspace, Object.keys(FAMILIES));
});
after(async () => {
  await Promise.allSettled(caches.map((cache) => cache.drain()));
  redis?.disconnect();
  await primary?.end();
  await stage?.close();
  await cluster?.stop();
});

async function open(): Promise<Cache> {
  const patience = { commandTimeoutMs: 5000, tokenWaitMs: 10_000 };
  const cache = await createCache({ config: path, region: 'eu', redis, postgres: { primary }, ...patience });
  caches.push(cache);
  return cache;
}

const ids = Array.from({ length: USERS }, (_, i) => i + 1);
const valueKey = (key: string): string => keyspace.valueKey(key, cellOf(hashKey(key), CELLS));

/** Reads all until each is answered by the cluster. */
async function fill(cache: Cache): Promise<(User | null)[]> {
  const users = cache.family<User>('user');
  const token = await cache.afterWrite();
  await eventually('every key is stored', async () => {
    await Promise.all(ids.map((id) => users.get({ id }, { token })));
    return (await Promise.all(ids.map((id) => users.peek({ id })))).every((user) => user !== undefined);
  });
  const { hits } = cache.stats();
  const read = await Promise.all(ids.map((id) => users.get({ id })));
  assert.equal(cache.stats().hits - hits, USERS, JSON.stringify(cache.stats()));
  return read;
}

test('what is loaded is stored on every master, hit by every process, and evicted by a commit', async () => {
  const [one, other] = [await open(), await open()];
  await fill(one);
  const byNode = await Promise.all(redis.nodes('master').map((node) => node.keys('*user:*')));
  assert.equal(byNode.flat().length, USERS);
  for (const keys of byNode) assert.ok(keys.length > 0, 'each master has some');
  assert.deepEqual(
    (await fill(other)).map((user) => user?.name),
    ids.map(() => 'old'),
  );
  assert.equal(other.stats().loads, 0);
  await primary.query(`update users set name = 'new'`);
  await eventually('evicted', async () => {
    const users = other.family<User>('user');
    return (await Promise.all(ids.map((id) => users.peek({ id })))).every((user) => user?.name !== 'old');
  });
  assert.deepEqual(
    (await fill(other)).map((user) => user?.name),
    ids.map(() => 'new'),
  );
});

test('a load that the commit’s eviction has crossed is returned and not stored', async () => {
  const [hasRead, mayEnd] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const cache = await open();
  const notes = cache.family<User>('note', {
    reads: 'primary',
    load: async () => {
      const { rows } = await primary.query<User>('select id, name from users where id = 1');
      hasRead.resolve();
      await mayEnd.promise;
      return rows[0] ?? null;
    },
  });
  const reading = notes.get({ id: 1 });
  await hasRead.promise;
  await primary.query(`update users set name = 'newer' where id = 1`);
  await eventually('its lease is evicted', async () => (await redis.exists(valueKey('note:1'))) === 0);
  mayEnd.resolve();
  assert.equal((await reading)?.name, 'new', 'what it had read');
  assert.deepEqual([cache.stats().stored, cache.stats().refusals['lease']], [0, 1]);
  assert.equal((await notes.get({ id: 1 }))?.name, 'newer');
});

test('an eviction by the application drops the value for every process', async () => {
  const cache = await open();
  await fill(cache);
  const users = cache.family<User>('user');
  assert.equal(await users.evict({ id: 2 }), 'evicted');
  assert.equal(await (await open()).family<User>('user').peek({ id: 2 }), undefined);
});

test('two instances that miss one key load it once: the second waits for the first one’s lease', async () => {
  const loaded = Promise.withResolvers<User>();
  let loads = 0;
  const load = (): Promise<User> => {
    loads += 1;
    return loaded.promise;
  };
  const [one, other] = [await open(), await open()];
  const [first, second] = [one, other].map((cache) => cache.family<User>('note', { reads: 'primary', load }));
  assert.ok(first !== undefined && second !== undefined);
  const reads = [first.get({ id: 7 })];
  await eventually('the first loads', () => loads === 1);
  reads.push(second.get({ id: 7 }), second.get({ id: 7 }));
  await eventually('the second waits', () => other.stats().waits === 1);
  loaded.resolve({ id: '7', name: 'a' });
  for (const user of await Promise.all(reads)) assert.deepEqual(user, { id: '7', name: 'a' });
  assert.deepEqual([loads, other.stats().waitsAnswered], [1, 1]);
});
