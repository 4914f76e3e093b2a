import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import { openPool, type PoolOptions } from '../drivers/postgres/pool.ts';
import { unconnectedRegion } from '../drivers/redis/cluster-connection.ts';
import { type Cache, type CacheOptions, createCache } from '../index.ts';

export interface ProgramCache {
  readonly cache: Cache;
  /** Drains it, and closes its connections. */
  close(): Promise<void>;
}

/** Of a program that loads where no caller waits: nothing is remembered beside Redis, and what it asks for says nothing of what is read. */
export const LOADS_FOR_NOBODY = {
  failureMemoryMs: 0,
  localEntriesMax: 0,
  buffers: 'off',
  hotKeys: false,
} as const satisfies Partial<CacheOptions>;

/** A cache of the library in a program of ours, with connections of its own to the region's Redis, to the primary and to the region's first replica. */
export async function openProgramCache(
  config: BusConfig,
  region: RegionConfig,
  pool: PoolOptions,
  options: Partial<CacheOptions>,
): Promise<ProgramCache> {
  const [replicaUrl] = region.replicas;
  const postgres = {
    primary: openPool(config.source.url, pool),
    ...(replicaUrl === undefined ? {} : { replica: openPool(replicaUrl, pool) }),
  };
  const redis = unconnectedRegion(region.redis);
  let cache: Cache | undefined;
  const close = async (): Promise<void> => {
    await cache?.drain();
    redis.disconnect();
    await Promise.all([postgres.primary.end(), postgres.replica?.end()]);
  };
  try {
    cache = await createCache({ ...options, config: { loaded: config }, region: region.name, redis, postgres });
    return { cache, close };
  } catch (error) {
    await close();
    throw error;
  }
}
