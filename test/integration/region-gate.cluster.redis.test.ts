import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectRegion } from '../../src/drivers/redis/cluster-connection.ts';
import { connectRedis, type RedisConnection } from '../../src/drivers/redis/connection.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { readRegionView } from '../../src/drivers/redis/region-view.ts';
import { hashSlotOf } from '../../src/protocol/cell-tag.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { type RedisCluster, startRedisCluster } from '../../src/stack/redis-cluster.ts';
import { startAgentOn } from '../support/agent-in-process.ts';
import { eventually } from '../support/eventually.ts';
import { startFedLog } from '../support/fed-log.ts';

const CELLS = 12;
const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: CELLS, clustered: true });
let cluster: RedisCluster;
let redis: RedisConnection;
let fed: ReturnType<typeof startFedLog>;
let agent: ReturnType<typeof startAgentOn>;

before(async () => {
  cluster = await startRedisCluster();
  const place = { cluster: cluster.urls };
  redis = await connectRegion(place, { name: 'test' });
  fed = startFedLog(CELLS);
  agent = startAgentOn(fed.log, { connectStore: () => connectRegionStore(place, 'agent', keyspace) });
});
after(async () => {
  await agent?.stop();
  fed?.stop();
  redis?.disconnect();
  await cluster?.stop();
});

const epochs = async (): Promise<string[]> => (await readRegionView(redis, keyspace)).map(({ epoch }) => epoch ?? '');

async function untilNoted(): Promise<void> {
  await eventually('every cell is noted', async () => {
    const noted = await redis.hmget(keyspace.gate, ...Array.from({ length: CELLS }, (_, cell) => `cell:${cell}`));
    return (await epochs()).every((epoch, cell) => epoch !== '' && epoch === noted[cell]);
  });
}

/** Empties the masters, and waits until all that was on them has begun anew. */
async function empty(masters: readonly number[]): Promise<void> {
  const before = await epochs();
  for (const master of masters) {
    const node = await connectRedis(cluster.nodes[master]?.url ?? '', { name: 'test' });
    await node.flushall();
    node.disconnect();
  }
  await eventually('a third of the cells begin anew for each', async () => {
    const now = await epochs();
    return (
      now.every((epoch) => epoch !== '') &&
      now.filter((epoch, cell) => epoch !== before[cell]).length === 4 * masters.length
    );
  });
}

test('one master of three that is emptied is no half of the region, two are; the one with the gate is coldness by itself', async () => {
  const gate = new RedisGateStore(redis, keyspace.gate);
  await untilNoted();
  const first = (await gate.read())?.epoch ?? '';
  await gate.warm(first);
  const gateMaster = Math.floor((hashSlotOf(keyspace.gate) * 3) / 16_384);
  const others = [0, 1, 2].filter((master) => master !== gateMaster);
  await empty(others.slice(0, 1));
  await untilNoted();
  assert.deepEqual([(await gate.read())?.epoch, (await gate.read())?.state], [first, 'WARM']);
  await empty(others.slice(1));
  const second = await eventually('COLD with two thirds', async () => {
    const now = await gate.read();
    return now?.state === 'COLD' ? now : undefined;
  });
  assert.equal(second.reason, 'half of the cells began anew');
  await untilNoted();
  await gate.warm(second.epoch);
  await empty([gateMaster]);
  const third = await eventually('COLD without the record', async () => {
    const now = await gate.read();
    return now?.state === 'COLD' ? now : undefined;
  });
  assert.equal(third.reason, 'no gate was there');
  await untilNoted();
  assert.equal((await gate.read())?.epoch, third.epoch);
});
