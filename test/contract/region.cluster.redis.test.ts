import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { cellTag, hashSlotOf } from '../../src/protocol/cell-tag.ts';
import { type RedisCluster, startRedisCluster } from '../../src/stack/redis-cluster.ts';
import { describeCacheStore } from './cache-store-contract.ts';
import { describeRegionStore } from './region-store-contract.ts';
import { openRedisRegion, type RegionUnderTest } from './region-under-test.ts';

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
