import { RedisMessageProvider } from '@qified/redis';
import { Cacheable } from 'cacheable';
import { type OpenOptions, type Peer, type PeerCache, type Row, TTL_MS } from '../adapter.ts';
import { redisStore } from '../keyv-redis-store.ts';

/**
 * default: "Basic Usage" and "GetOrSet" of the README: `new Cacheable({ secondary: new KeyvRedis(url) })`.
 *
 * best, each from the README (https://cacheable.org/docs/cacheable/):
 * - "Non-Blocking Operations" and "Non-Blocking with @keyv/redis": nonBlocking
 * - "CacheableSync - Distributed Updates": sync, over Redis
 * - "Tag Based Invalidation": tags. `getOrSet` takes none, so an entry with tags is read and set in two calls, as that section does
 * - `throwErrors: 'function'` of @cacheable/memory's README: without it a loader's error is an undefined value
 *
 * Redis only: the primary store is any Keyv ("Cacheable Options"), here the Redis one.
 */
async function open({ redisUrl, settings, tiers }: OpenOptions): Promise<PeerCache> {
  const isBest = settings === 'best';
  const store = redisStore(redisUrl, settings);
  const provider = isBest && tiers !== 'redis' ? new RedisMessageProvider({ uri: redisUrl }) : undefined;
  const cache = new Cacheable({
    ...(tiers === 'redis' ? { primary: store } : { secondary: store }),
    ...(isBest && { nonBlocking: true, tags: true }),
    ...(provider !== undefined && { sync: { qified: provider } }),
  });
  cache.on('error', () => undefined);
  const options = { ttl: TTL_MS, ...(isBest && { throwErrors: 'function' as const }) };
  const getTagged = async (key: string, load: () => Promise<Row>, tags: readonly string[]): Promise<Row> => {
    const cached = await cache.get<Row>(key);
    if (cached !== undefined) return cached;
    const row = await load();
    await cache.set(key, row, { ttl: TTL_MS, tags: [...tags] });
    return row;
  };
  return {
    get: (key, load, tags) =>
      isBest && tags !== undefined ? getTagged(key, load, tags) : cache.getOrSet<Row>(key, load, options),
    invalidateKey: async (key) => void (await cache.delete(key)),
    ...(isBest && { invalidateTag: async (tag: string) => void (await cache.tags.invalidateTag(tag)) }),
    close: async () => {
      await cache.disconnect();
      await provider?.disconnect();
    },
  };
}

export const cacheable: Peer = {
  name: 'cacheable',
  packages: ['cacheable', '@keyv/redis', '@redis/client', '@qified/redis'],
  settings: {
    default: 'memory and Redis',
    best: 'memory, Redis, non-blocking, sync over Redis, tags, throwErrors, deadline a command',
  },
  cannot: (ability, settings) =>
    ability === 'tags' && settings === 'default' ? 'tags are off until they are enabled' : undefined,
  open,
};
