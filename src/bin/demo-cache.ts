import type { OpenDemoCache } from '../cli/demo/failover/scene.ts';
import { loadConfig } from '../config/load-config.ts';
import { openPool } from '../drivers/postgres/pool.ts';
import { unconnectedRegion } from '../drivers/redis/cluster-connection.ts';
import { createCache } from '../index.ts';

const POOL = { applicationName: 'afterwrite-demo-app', max: 8, statementTimeoutMs: 10_000 };

/** A cache of a region, as a process of an application has it, with pools of its own. */
export const openDemoCache: OpenDemoCache = async ({ configPath, region, primaryUrl, replicaUrl }) => {
  const config = await loadConfig([configPath], process.env);
  const place = config.regions.get(region);
  if (place === undefined) throw new Error(`There is no region ${region}.`);
  const redis = unconnectedRegion(place.redis);
  const pools = {
    primary: openPool(primaryUrl, POOL),
    ...(replicaUrl === undefined ? {} : { replica: openPool(replicaUrl, POOL) }),
  };
  const close = async (): Promise<void> => {
    redis.disconnect();
    await Promise.all([pools.primary.end(), pools.replica?.end()]);
  };
  try {
    const cache = await createCache({
      config: { loaded: config },
      region,
      redis,
      postgres: pools,
      onEvent: () => undefined,
    });
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
