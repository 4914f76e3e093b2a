import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Redis } from 'ioredis';
import pg from 'pg';
import { type Cache, createCache } from '../../src/index.ts';
import type { Keyspace } from '../../src/protocol/keyspace.ts';
import { eventually } from '../support/eventually.ts';
import { beginRegion, untilReached } from '../support/region-begun.ts';
import { openStage, type Stage } from '../support/stage.ts';

// What `when-changed` promises, by a real relay, agent and worker.
const SCHEMA = 'create table public.users (id bigint primary key, name text not null);';
const on = { users: { id: 'id' } };
const source = 'select name from users where id = {id}';
const FAMILIES = {
  expired: { key: 'expired:{id}', ttl: '10m', stale: '5m', source, on, 'when-changed': 'expire' },
  refreshed: { key: 'refreshed:{id}', ttl: '10m', source, on, 'when-changed': 'refresh' },
  worked: { key: 'worked:{id}', ttl: '10m', load: true, on, 'when-changed': 'refresh' },
};
const ROWS = 20;
const ids = Array.from({ length: ROWS }, (_, i) => i + 1);
interface User {
  readonly name: string;
}
let stage: Stage;
let keyspace: Keyspace;
let primary: pg.Pool;
let agent: Awaited<ReturnType<Stage['startAgent']>>;
let redis: Redis;
const caches: Cache[] = [];

before(async () => {
  stage = await openStage({ log: 'redis-streams', schema: SCHEMA, families: FAMILIES, partitions: 2 });
  primary = new pg.Pool({ connectionString: stage.url });
  await primary.query(`insert into users select n, 'first' from generate_series(1, ${ROWS}) n`);
  ({ keyspace, redis, agent } = await beginRegion(stage, Object.keys(FAMILIES)));
});
after(async () => {
  await Promise.allSettled(caches.map((cache) => cache.drain()));
  redis?.disconnect();
  await primary?.end();
  await stage?.close();
});

async function open(): Promise<Cache> {
  const cache = await createCache({
    config: stage.configPath,
    region: 'eu',
    redis,
    postgres: { primary },
    commandTimeoutMs: 5000,
    settleWaitMs: 2000,
  });
  caches.push(cache);
  return cache;
}

type Family = ReturnType<Cache['family']>;
const peek = async (family: Family): Promise<(string | undefined)[]> =>
  (await Promise.all(ids.map((id) => family.peek({ id })))).map((user) => (user as User | undefined)?.name);
const allAre = (names: readonly (string | undefined)[], name: string): boolean => names.every((one) => one === name);

async function filled(family: Family, name: string): Promise<void> {
  await eventually('every key is stored', async () => {
    await Promise.all(ids.map((id) => family.get({ id })));
    return allAre(await peek(family), name);
  });
}

test('what a change has expired is served to all who come, while one load a key brings what is new', async () => {
  const cache = await open();
  const family = cache.family<User>('expired');
  await filled(family, 'first');
  const before = cache.stats();
  await primary.query(`update users set name = 'second'`);
  const token = await cache.afterWrite();
  await eventually('every reader has the new value', async () => {
    const users = await Promise.all(ids.map((id) => family.get({ id })));
    for (const user of users) assert.ok(user?.name === 'first' || user?.name === 'second');
    return users.every((user) => user?.name === 'second');
  });
  const { staleHits, misses } = cache.stats();
  assert.ok(staleHits > before.staleHits, 'the old value was served behind the change');
  assert.equal(misses, before.misses, 'and nobody waited for a load');
  const read = await Promise.all(ids.map((id) => family.get({ id }, { token })));
  assert.ok(read.every((user) => user?.name === 'second'));
});

test('a reader who brings a token is never given what a change has expired', async () => {
  const cache = await open();
  const family = cache.family<User>('expired');
  await primary.query(`update users set name = 'first'`);
  await filled(family, 'first');
  await primary.query(`update users set name = 'second'`);
  const token = await cache.afterWrite();
  const users = await Promise.all(ids.map((id) => family.get({ id }, { token })));
  assert.deepEqual([...new Set(users.map((user) => user?.name))], ['second']);
});

test('what a change has evicted of a family that is refreshed is there again before anybody reads, and nothing else', async () => {
  const cache = await open();
  const family = cache.family<User>('refreshed');
  await primary.query(`update users set name = 'first'`);
  await untilReached(stage.sql, redis, keyspace);
  await Promise.all(ids.slice(0, ROWS / 2).map((id) => family.get({ id })));
  await eventually('half of the keys are stored', async () => {
    await Promise.all(ids.slice(0, ROWS / 2).map((id) => family.get({ id })));
    return allAre((await peek(family)).slice(0, ROWS / 2), 'first');
  });
  await primary.query(`update users set name = 'second'`);
  await eventually('they are loaded anew', async () => allAre((await peek(family)).slice(0, ROWS / 2), 'second'));
  assert.ok(
    (await peek(family)).slice(ROWS / 2).every((name) => name === undefined),
    'what nobody had read is not',
  );
  await eventually('nothing is owed', async () => (await owed()) === 0);
});

const owed = async (): Promise<number> =>
  (await Promise.all([0, 1].map((cell) => redis.hlen(keyspace.refreshes(cell))))).reduce((sum, one) => sum + one);

test('a refresh survives the agent that was killed behind its eviction, or before it', async () => {
  const cache = await open();
  const family = cache.family<User>('refreshed');
  for (const name of ['one', 'two', 'three']) {
    await filled(family, name === 'one' ? 'second' : name === 'two' ? 'one' : 'two');
    await primary.query('update users set name = $1', [name]);
    await stage.kill(agent);
    agent = await stage.startAgent('agent');
    await eventually('loaded anew by the next agent', async () => allAre(await peek(family), name));
  }
});

test('a refresh that nobody here can load waits in Redis for a worker, which loads it', async () => {
  const cache = await open();
  const family = cache.family<User>('refreshed');
  await filled(family, 'three');
  // Owed by nobody's loader: a worker is not there yet.
  const worked = cache.family<User>('worked', { reads: 'primary', load });
  await filled(worked, 'three');
  await primary.query(`update users set name = 'fourth'`);
  await eventually('the refreshed family is there again', async () => allAre(await peek(family), 'fourth'));
  await eventually('what has no loader here waits, and nothing else', async () => (await owed()) === ROWS);
  assert.ok((await peek(worked)).every((name) => name === undefined));
  const file = join(dirname(stage.configPath), 'families.mjs');
  await writeFile(
    file,
    `import pg from ${JSON.stringify(import.meta.resolve('pg'))};
const pool = new pg.Pool({ connectionString: ${JSON.stringify(stage.url)} });
pool.on('error', () => undefined);
export default (cache) => {
  cache.family('worked', {
    reads: 'primary',
    load: async ({ id }) => (await pool.query('select name from users where id = $1', [id])).rows[0] ?? null,
  });
};
`,
  );
  await stage.startWorker('worker', file);
  await eventually('a worker has loaded them', async () => allAre(await peek(worked), 'fourth'));
  await eventually('nothing is owed', async () => (await owed()) === 0);
  await primary.query(`update users set name = 'fifth'`);
  await eventually('and loads them after each change', async () => allAre(await peek(worked), 'fifth'));
});

async function load({ id }: { readonly id?: unknown }): Promise<User | null> {
  const { rows } = await primary.query<User>('select name from users where id = $1', [id]);
  return rows[0] ?? null;
}
