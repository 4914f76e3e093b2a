import { Redis } from 'ioredis';
import type { OpenDemoCache } from '../cli/demo/failover/scene.ts';
import { openPool } from '../drivers/postgres/pool.ts';
import { createCache } from '../index.ts';

const CONNECTIONS = 8;

/** A cache of a region, as a process of an application has it, with pools of its own. */
export const openDemoCache: OpenDemoCache = async ({ configPath, region, redisUrl, primaryUrl, replicaUrl }) => {
  const redis = new Redis(redisUrl, { retryStrategy: () => 100 });
  redis.on('error', () => undefined);
  const pools = {
    primary: openPool(primaryUrl, 'afterwrite-demo-app', CONNECTIONS),
    ...(replicaUrl === undefined ? {} : { replica: openPool(replicaUrl, 'afterwrite-demo-app', CONNECTIONS) }),
  };
  const close = async (): Promise<void> => {
    redis.disconnect();
    await Promise.all([pools.primary.end(), pools.replica?.end()]);
  };
  try {
    const cache = await createCache({ config: [configPath], region, redis, postgres: pools, onEvent: () => undefined });
    return {
      cache,
      close: async () => {
        await cache.drain();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
};
