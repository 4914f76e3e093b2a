import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { examine } from '../../src/cli/doctor/examine.ts';
import { readStatus } from '../../src/cli/status/status.ts';
import type { BusConfig } from '../../src/config/bus-config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { keyspaceOf } from '../../src/config/region-keyspace.ts';
import { connectRegion } from '../../src/drivers/redis/cluster-connection.ts';
import type { RedisConnection } from '../../src/drivers/redis/connection.ts';
import { readRegionView } from '../../src/drivers/redis/region-view.ts';
import { cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import type { Keyspace } from '../../src/protocol/keyspace.ts';
import { type RedisCluster, startRedisCluster } from '../../src/stack/redis-cluster.ts';
import { eventually } from '../support/eventually.ts';
import { untilBegun, untilSwept } from '../support/region-begun.ts';
import { openStage, SHOP, SHOP_FAMILIES, type Stage } from '../support/stage.ts';
import { stopProcess } from '../support/stop-process.ts';

const USERS = 100;
const CELLS = 12;
const FAMILIES = {
  ...SHOP_FAMILIES,
  card: { key: 'card:{id}', ttl: '10m', values: 'plain', on: { users: { id: 'id' } } },
};
let stage: Stage;
let cluster: RedisCluster;
let redis: RedisConnection;
let path: string;
let config: BusConfig;
let keyspace: Keyspace;
let agent: Awaited<ReturnType<Stage['startAgent']>>;

before(async () => {
  [stage, cluster] = await Promise.all([
    openStage({ log: 'redis-streams', schema: SHOP, families: FAMILIES, partitions: CELLS }),
    startRedisCluster(),
  ]);
  const place = { cluster: cluster.urls };
  path = await stage.withUrls((text) => text.replace(`redis: ${stage.cache.url}`, `redis: ${JSON.stringify(place)}`));
  config = await loadConfig([path], {});
  const region = config.regions.get('eu');
  assert.ok(region !== undefined);
  keyspace = keyspaceOf(config, region);
  redis = await connectRegion(region.redis, { name: 'test' });
  await stage.sql.query(`insert into users select n, n % 10, 'n' from generate_series(1, ${USERS}) n`);
  await stage.startRelay('relay', path);
  agent = await stage.startAgent('agent', path);
  await untilBegun(redis, keyspace, []);
  await untilSwept(redis, keyspace);
});

after(async () => {
  redis?.disconnect();
  await stage?.close();
  await cluster?.stop();
});

const ids = Array.from({ length: USERS }, (_, i) => i + 1);
const cell = (key: string): number => cellOf(hashKey(key), CELLS);
const valueKey = (key: string): string => keyspace.valueKey(key, cell(key));
const slotKey = (key: string): string => keyspace.slotKey(key, cell(key));

async function fill(names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => redis.set(name, 'old', 'EX', 600)));
}

async function left(names: readonly string[]): Promise<number> {
  return (await Promise.all(names.map((name) => redis.exists(name)))).reduce((sum, one) => sum + one, 0);
}

test('an agent evicts keys on every master of a cluster', async () => {
  const names = ids.map((id) => valueKey(`user:${id}`));
  await fill(names);
  await stage.sql.query("update users set name = 'a'");
  await eventually('every key is gone', async () => (await left(names)) === 0);
});

test('a plain value goes with the slot beside it: by its key, and by a sweep', async () => {
  const values = ids.map((id) => valueKey(`card:${id}`));
  const slots = ids.map((id) => slotKey(`card:${id}`));
  await fill([...values, ...slots]);
  await stage.sql.query("update users set name = 'b'");
  await eventually('values and slots are gone', async () => (await left([...values, ...slots])) === 0);
  await fill([...values, ...slots]);
  await stage.sql.query(`select pg_logical_emit_message(true, 'afterwrite', '{"families": ["card"]}')`);
  await eventually('values and slots are swept', async () => (await left([...values, ...slots])) === 0);
});

test('a family that is made old is swept on every master', async () => {
  const names = ids.map((id) => valueKey(`user:${id}`));
  await fill(names);
  await stage.sql.query(`select pg_logical_emit_message(true, 'afterwrite', '{"families": ["user"]}')`);
  await eventually('every key is swept', async () => (await left(names)) === 0);
});

test('status tells of a cluster’s cells, and doctor of each master', async () => {
  const { regions } = await readStatus(config, Date.now);
  const { eu } = regions;
  assert.ok(eu !== undefined && !('error' in eu), JSON.stringify(eu));
  assert.deepEqual([eu.cells, eu.ownedCells, eu.agents], [CELLS, CELLS, 1]);
  const said = (await examine(config)).filter(({ subject }) => subject.startsWith('redis of eu'));
  assert.deepEqual(
    said.filter(({ level }) => level !== 'ok'),
    [],
  );
  assert.ok(said.some(({ message }) => message === '12 cells on 3 masters: 4, 4, 4'));
  assert.equal(said.filter(({ message }) => message.startsWith('version ')).length, 3);
  const asServer = { name: 'eu', redis: cluster.urls[0] ?? '', replicas: [] };
  const wrong = await examine({ ...config, regions: new Map([['eu', asServer]]) });
  assert.ok(wrong.some(({ level, message }) => level === 'fail' && message.includes('is a node of a Redis Cluster')));
});

test('while a master is away the agent waits, and afterwards applies all that came, in the same epochs', async () => {
  const names = ids.map((id) => valueKey(`user:${id}`));
  const epochs = async () => (await readRegionView(redis, keyspace)).map(({ epoch }) => epoch);
  const before = await epochs();
  await fill(names);
  const [, master] = cluster.nodes;
  await stopProcess(master?.process?.pid);
  await stage.sql.query("update users set name = 'c'");
  await eventually('not ready', async () => (await fetch(`http://127.0.0.1:${agent.httpPort}/readyz`)).status === 503);
  master?.process?.kill('SIGCONT');
  await eventually('every key is gone', async () => (await left(names).catch(() => -1)) === 0, 40_000);
  assert.deepEqual(await epochs(), before);
  await eventually('ready', async () => (await fetch(`http://127.0.0.1:${agent.httpPort}/readyz`)).status === 200);
});
