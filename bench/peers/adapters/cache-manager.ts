import { createCache } from 'cache-manager';
import { CacheableMemory } from 'cacheable';
import { Keyv } from 'keyv';
import { type OpenOptions, type Peer, type PeerCache, type Row, TTL_MS } from '../adapter.ts';
import { redisStore } from '../keyv-redis-store.ts';

/**
 * default: "Quick start" of the README, "layer 1 and layer 2 caching": CacheableMemory and Redis. The memory's TTL is that of the entries.
 *
 * best, from "Options" of the README: nonBlocking, over the non-blocking store. It has no bus, no tags and no grace.
 */
async function open({ redisUrl, settings, tiers }: OpenOptions): Promise<PeerCache> {
  const memory = new Keyv({ store: new CacheableMemory({ ttl: TTL_MS, lruSize: 5000 }) });
  const redis = redisStore(redisUrl, settings);
  const cache = createCache({
    stores: tiers === 'redis' ? [redis] : [memory, redis],
    ...(settings === 'best' && { nonBlocking: true }),
  });
  return {
    get: (key, load) => cache.wrap<Row>(key, load, TTL_MS),
    invalidateKey: async (key) => void (await cache.del(key)),
    close: () => cache.disconnect(),
  };
}

export const cacheManager: Peer = {
  name: 'cache-manager',
  packages: ['cache-manager', 'cacheable', '@keyv/redis', '@redis/client'],
  settings: { default: 'memory and Redis', best: 'memory, Redis, non-blocking, deadline a command' },
  cannot: (ability) => (ability === 'tags' ? 'it has no tags' : undefined),
  open,
};
