import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectRegion } from '../../src/drivers/redis/cluster-connection.ts';
import { RedisGateStore } from '../../src/drivers/redis/region-gate.ts';
import { type RedisCluster, startRedisCluster } from '../../src/stack/redis-cluster.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { describeGate } from './gate-contract.ts';

const KEY = 'afterwrite:shop:gate';
let server: RedisServer;
let cluster: RedisCluster;

before(async () => {
  [server, cluster] = await Promise.all([startRedis(), startRedisCluster()]);
});
after(async () => {
  await server?.stop();
  await cluster?.stop();
});

for (const kind of ['Redis', 'a Redis Cluster'])
  describeGate(`a gate in ${kind}`, async () => {
    const redis = await connectRegion(kind === 'Redis' ? server.url : { cluster: cluster.urls }, { name: 'test' });
    return {
      gate: new RedisGateStore(redis, KEY),
      pass: async (ms) => {
        const fields = Object.entries(await redis.hgetall(KEY)).filter(([field]) => field.startsWith('begun:'));
        for (const [field] of fields) await redis.hincrby(KEY, field, -ms);
      },
      empty: async () => void (await redis.del(KEY)),
      close: async () => redis.disconnect(),
    };
  });

test('what is no gate is none: a record without a state is made anew, a key of another type is told of and left', async () => {
  const redis = await connectRegion(server.url, { name: 'test' });
  const gate = new RedisGateStore(redis, KEY);
  try {
    await redis.hset(KEY, { epoch: 'E1', state: 'warmish', share: '1' });
    assert.equal(await gate.read(), null);
    assert.equal((await gate.markCold('E2', 'no gate')).isMarked, true);
    await redis.set(KEY, 'another’s');
    await assert.rejects(gate.read(), { code: 'REDIS_WRONG_TYPE' });
    await assert.rejects(gate.markCold('E3', 'no gate'), { code: 'REDIS_WRONG_TYPE' });
    await assert.rejects(gate.report('E2', 1), { code: 'REDIS_WRONG_TYPE' });
    assert.equal(await redis.get(KEY), 'another’s');
  } finally {
    await redis.del(KEY);
    redis.disconnect();
  }
});
