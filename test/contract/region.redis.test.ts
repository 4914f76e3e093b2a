import { after, before } from 'node:test';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { describeCacheStore } from './cache-store-contract.ts';
import { describeRegionStore } from './region-store-contract.ts';
import { openRedisRegion, type RegionUnderTest } from './region-under-test.ts';

let server: RedisServer;

before(async () => {
  server = await startRedis();
});
after(async () => {
  await server?.stop();
});

const open = (): Promise<RegionUnderTest> => openRedisRegion(server.url, server.url);
describeCacheStore('a region in Redis, for its readers', open);
describeRegionStore('a region in Redis, for its agents', open);
