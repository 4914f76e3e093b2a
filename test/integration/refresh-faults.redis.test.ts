import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import type { Redis } from 'ioredis';
import pg from 'pg';
import { type Cache, createCache } from '../../src/index.ts';
import type { Keyspace } from '../../src/protocol/keyspace.ts';
import { eventually } from '../support/eventually.ts';
import { beginRegion, untilReached } from '../support/region-begun.ts';
import { metricOf, openStage, type Stage } from '../support/stage.ts';

// What goes wrong where keys are loaded anew, by a real relay, agent and worker.
const SCHEMA = `create table public.users (id bigint primary key, name text not null);
create table public.gone (id bigint primary key, name text not null);`;
const users = { users: { id: 'id' } };
const FAMILIES = {
  refreshed: {
    key: 'refreshed:{id}',
    ttl: '10m',
    source: 'select name from users where id = {id}',
    on: users,
    'when-changed': 'refresh',
  },
  gone: {
    key: 'gone:{id}',
    ttl: '10m',
    absent: '0',
    source: 'select name from gone where id = {id}',
    on: { gone: { id: 'id' } },
    'when-changed': 'refresh',
  },
  worked: { key: 'worked:{id}', ttl: '10m', load: true, on: users, 'when-changed': 'refresh' },
};
const ids = [1, 2, 3, 4, 5];
interface User {
  readonly name: string;
}
let stage: Stage;
let keyspace: Keyspace;
let primary: pg.Pool;
let agent: Awaited<ReturnType<Stage['startAgent']>>;
let redis: Redis;
let cache: Cache;
let worked: ReturnType<Cache['family']>;

before(async () => {
  stage = await openStage({ log: 'redis-streams', schema: SCHEMA, families: FAMILIES, partitions: 2 });
  primary = new pg.Pool({ connectionString: stage.url });
  for (const table of ['users', 'gone'])
    await primary.query(`insert into ${table} select n, 'first' from generate_series(1, ${ids.length}) n`);
  ({ keyspace, redis, agent } = await beginRegion(stage, Object.keys(FAMILIES)));
  cache = await createCache({
    config: stage.configPath,
    region: 'eu',
    redis,
    postgres: { primary },
    commandTimeoutMs: 5000,
    settleWaitMs: 2000,
  });
  worked = cache.family('worked', {
    reads: 'primary',
    load: async ({ id }: { readonly id?: unknown }) =>
      (await primary.query<User>('select name from users where id = $1', [id])).rows[0] ?? null,
  });
});
after(async () => {
  await cache?.drain();
  redis?.disconnect();
  await primary?.end();
  await stage?.close();
});

type Family = ReturnType<Cache['family']>;
const peek = async (family: Family): Promise<(string | undefined)[]> =>
  (await Promise.all(ids.map((id) => family.peek({ id })))).map((user) => (user as User | undefined)?.name);
const allAre = async (family: Family, name: string): Promise<boolean> =>
  (await peek(family)).every((one) => one === name);
async function filled(family: Family, name: string): Promise<void> {
  await eventually('every key is stored', async () => {
    await Promise.all(ids.map((id) => family.get({ id })));
    return allAre(family, name);
  });
}
const owed = async (): Promise<number> =>
  (await Promise.all([0, 1].map((cell) => redis.hlen(keyspace.refreshes(cell))))).reduce((sum, one) => sum + one);

/** A module of an application's, whose family is loaded by this text. */
async function families(name: string, options: string): Promise<string> {
  const file = join(dirname(stage.configPath), name);
  await writeFile(
    file,
    `import { writeFileSync } from 'node:fs';
import pg from ${JSON.stringify(import.meta.resolve('pg'))};
const pool = new pg.Pool({ connectionString: ${JSON.stringify(stage.url)} });
pool.on('error', () => undefined);
const read = async (id) => (await pool.query('select name from users where id = $1', [id])).rows[0] ?? null;
export default (cache) => {
  cache.family('worked', ${options});
};
`,
  );
  return file;
}

/** A change of every row, and a cache that has it. */
async function begun(family: Family, name: string): Promise<void> {
  await primary.query('update users set name = $1', [name]);
  await untilReached(stage.sql, redis, keyspace);
  await filled(family, name);
}

/** How a process that is asked to end does so. */
async function endOf(child: { readonly pid: number; readonly failed: Promise<never> }): Promise<string> {
  process.kill(child.pid, 'SIGTERM');
  return child.failed.catch((error: unknown) => (error as Error).message.split('\n')[0] ?? '');
}

test('a row that is deleted is owed nothing where no absence is kept, and is no failure', async () => {
  await filled(cache.family<User>('gone'), 'first');
  await primary.query('delete from gone');
  await untilReached(stage.sql, redis, keyspace);
  await eventually('nothing is owed', async () => (await owed()) === 0);
  assert.equal(await metricOf(agent.httpPort, 'afterwrite_agent_refreshes_given_up_total'), undefined);
});

test('a worker that may store nothing of what it loads does not start', async () => {
  const file = await families('unproven.mjs', '{ load: ({ id }) => read(id) }');
  await assert.rejects(stage.startWorker('unproven', file), /opened without `reads: "primary"`/);
});

test('a worker of another file leaves what is owed to those of the region’s, and says of none that it was refreshed', async () => {
  const file = await families('families.mjs', `{ reads: 'primary', load: ({ id }) => read(id) }`);
  const otherKey = await stage.withUrls((text) => text.replace('worked:{id}', 'worked-before:{id}'));
  const otherRule = await stage.withUrls((text) => text.replace('load: true', 'load: true\n    rows: many'));
  const before = [
    await stage.startWorker('other-key', file, otherKey),
    await stage.startWorker('other-rule', file, otherRule),
  ];
  await filled(worked, 'first');
  await primary.query(`update users set name = 'second'`);
  await untilReached(stage.sql, redis, keyspace);
  const worker = await stage.startWorker('worker', file);
  await eventually('the worker of the region’s file loads them', () => allAre(worked, 'second'));
  await eventually('nothing is owed', async () => (await owed()) === 0);
  for (const { httpPort } of before) {
    assert.equal(await metricOf(httpPort, 'afterwrite_agent_refreshed_keys_total'), undefined);
    assert.equal(await metricOf(httpPort, 'afterwrite_agent_refreshes_given_up_total'), undefined);
  }
  await Promise.all([worker, ...before].map((one) => one.stop()));
});

test('a worker that is asked to end waits for no loader that never ends, and leaves what it owed', async () => {
  const marker = join(dirname(stage.configPath), 'hangs');
  const hangs = `{ reads: 'primary', load: () => { writeFileSync(${JSON.stringify(marker)}, ''); return new Promise(() => {}); } }`;
  // First: what it hangs on it has the lease of.
  await begun(worked, 'second');
  await eventually(
    'nothing is owed to it yet',
    async () => (await redis.del(keyspace.refreshes(0), keyspace.refreshes(1))) === 0,
  );
  const worker = await stage.startWorker('hanging', await families('hanging.mjs', hangs));
  await primary.query(`update users set name = 'third'`);
  await eventually('its loader hangs', () => existsSync(marker));
  assert.match(await endOf(worker), /ended by itself, with 0\./);
  assert.equal(await owed(), ids.length);
});

test('an agent that is asked to end waits for no load that the database holds up, and the next one does it', async () => {
  const family = cache.family<User>('refreshed');
  await begun(family, 'third');
  const holder = await primary.connect();
  try {
    await primary.query(`update users set name = 'fourth'`);
    await holder.query('begin; lock table users in access exclusive mode');
    await eventually('the load waits for the lock', async () => {
      const { rows } = await primary.query(
        `select from pg_stat_activity where application_name like 'afterwrite-agent-%-refresh' and wait_event_type = 'Lock'`,
      );
      return rows.length > 0;
    });
    assert.match(await endOf(agent), /ended by itself, with 0\./);
  } finally {
    await holder.query('commit');
    holder.release();
  }
  agent = await stage.startAgent('agent');
  await eventually('loaded anew by the next agent', () => allAre(family, 'fourth'));
});
