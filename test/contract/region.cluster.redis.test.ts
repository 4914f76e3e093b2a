import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { cellTag, hashSlotOf } from '../../src/protocol/cell-tag.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { type RedisCluster, startRedisCluster } from '../../src/stack/redis-cluster.ts';
import { eventually } from '../support/eventually.ts';
import { describeCacheStore } from './cache-store-contract.ts';
import { describeRegionStore } from './region-store-contract.ts';
import { begin, CELLS, openRedisRegion, type RegionUnderTest, TOKEN } from './region-under-test.ts';

let cluster: RedisCluster;

before(async () => {
  cluster = await startRedisCluster();
});
after(async () => {
  await cluster?.stop();
});

// One node is named: the others are learnt from it.
const open = (): Promise<RegionUnderTest> =>
  openRedisRegion({ cluster: cluster.urls.slice(1, 2) }, cluster.urls[0] ?? '');
describeCacheStore('a region in a Redis Cluster, for its readers', open);
describeRegionStore('a region in a Redis Cluster, for its agents', open);

test('a region’s cells are spread evenly over the masters of its cluster', async () => {
  const region = await open();
  try {
    const byServer = new Map<string, number>();
    for (const { runId } of await region.agent.identities()) byServer.set(runId, (byServer.get(runId) ?? 0) + 1);
    assert.deepEqual([...byServer.values()], [4, 4, 4]);
  } finally {
    await region.close();
  }
});

test('48 cells on 3 masters are 16 each, on 4 masters 12, on 6 masters 8', () => {
  for (const masters of [3, 4, 6]) {
    const cells = Array.from({ length: 48 }, (_, cell) =>
      Math.floor((hashSlotOf(cellTag(cell, 48)) * masters) / 16_384),
    );
    const counts = Array.from({ length: masters }, (_, master) => cells.filter((one) => one === master).length);
    assert.deepEqual(
      counts,
      Array.from({ length: masters }, () => 48 / masters),
    );
  }
});

test('a command whose connection breaks is not sent again', async () => {
  const [first] = cluster.nodes;
  assert.ok(first !== undefined);
  const admin = await connectRedis(first.url, { name: 'test-admin' });
  const region = await open();
  const another = await open();
  try {
    await region.empty();
    await begin(region, 0);
    const owner = (await another.agent.owners())[0];
    await admin.call('CLIENT', 'PAUSE', 60_000, 'WRITE');
    const beating = region.agent.beat([0], TOKEN);
    beating.catch(() => undefined);
    const blocked = await eventually('the script waits on the server', async () => {
      const clients = String(await admin.call('CLIENT', 'LIST')).split('\n');
      return clients.find((client) => / flags=b/.test(client) && client.includes(' cmd=eval'));
    });
    await admin.call('CLIENT', 'KILL', 'ID', /^id=(\d+)/.exec(blocked)?.[1] ?? '');
    await admin.call('CLIENT', 'UNPAUSE');
    await assert.rejects(beating, { code: 'REDIS_UNREACHABLE' });
    assert.equal((await another.agent.owners())[0], owner, 'the beat has never been run');
  } finally {
    await admin.call('CLIENT', 'UNPAUSE');
    admin.disconnect();
    await region.close();
    await another.close();
  }
});

test('a cell whose slot moves to another master is worked on all the time, but while its keys lie on both', async () => {
  const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: CELLS, clustered: true });
  const slot = hashSlotOf(cellTag(0, CELLS));
  const [from, to] = cluster.nodes;
  assert.ok(from !== undefined && to !== undefined);
  const [source, target] = await Promise.all([from, to].map(({ url }) => connectRedis(url, { name: 'test' })));
  assert.ok(source !== undefined && target !== undefined);
  const region = await open();
  const another = await open();
  const beat = async (one: RegionUnderTest) => (await one.agent.beat([0], TOKEN))[0]?.kind;
  try {
    await region.empty();
    await begin(region, 0);
    const [sourceId, targetId] = await Promise.all([source, target].map((node) => node.cluster('MYID')));
    await target.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', String(sourceId));
    await source.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', String(targetId));
    assert.equal(await beat(region), 'kept', 'nothing has moved yet');
    await source.migrate('127.0.0.1', to.port, keyspace.record(0), 0, 1000);
    await assert.rejects(beat(another), { code: 'REDIS_UNREACHABLE' }, 'TRYAGAIN: one key here and one there');
    for (const key of [keyspace.state(0), keyspace.sweeps(0)]) await source.migrate('127.0.0.1', to.port, key, 0, 1000);
    assert.equal(await beat(region), 'kept', 'ASK');
    for (const node of [target, source]) await node.call('CLUSTER', 'SETSLOT', slot, 'NODE', String(targetId));
    assert.equal(await beat(region), 'kept', 'MOVED');
    const before = await region.agent.identities();
    assert.equal(before[0]?.runId, before[CELLS / 2]?.runId, 'it lives with the cells of the second master now');
    // A slot that no master serves: the cluster answers CLUSTERDOWN.
    await target.cluster('DELSLOTS', slot);
    await assert.rejects(beat(region), { code: 'REDIS_UNREACHABLE' });
  } finally {
    await region.close();
    await another.close();
    source.disconnect();
    target.disconnect();
  }
});
