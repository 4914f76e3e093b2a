import { createCache } from 'async-cache-dedupe';
import { type Load, type OpenOptions, type Peer, type PeerCache, type Row, TTL_MS } from '../adapter.ts';
import { clientOptions, connect } from '../ioredis-client.ts';

interface Argument {
  readonly key: string;
  readonly load: Load;
  readonly tags: readonly string[] | undefined;
}

/**
 * default: "Example" of the README (a TTL, `stale: 5`), with the Redis storage as "createCache(opts)" gives it. Invalidation by reference is
 * off there.
 *
 * best: "Invalidation" of the README: `invalidation: { referencesTTL }`, "at the maximum of all the caches ttl"; and an ioredis client of
 * one's own, here with a deadline a command.
 *
 * A storage is Redis or memory, not both: "storage" in "createCache(opts)". So `usual` is Redis, and `local` is memory instead of it.
 */
async function open({ redisUrl, settings, tiers }: OpenOptions): Promise<PeerCache> {
  const isBest = settings === 'best';
  const ttl = TTL_MS / 1000;
  const client = await connect(redisUrl, clientOptions(settings));
  const storage =
    tiers === 'local'
      ? ({ type: 'memory', options: isBest ? { invalidation: true } : {} } as const)
      : ({ type: 'redis', options: { client, ...(isBest && { invalidation: { referencesTTL: ttl } }) } } as const);
  const cache = createCache({ ttl, stale: 5, storage }).define(
    'row',
    {
      serialize: (argument: Argument) => argument.key,
      ...(isBest && { references: ({ tags }: Argument) => [...(tags ?? [])] }),
    },
    async ({ load }: Argument): Promise<Row> => load(),
  );
  return {
    get: (key, load, tags) => cache.row({ key, load, tags }),
    invalidateKey: (key) => cache.clear('row', { key }),
    ...(isBest && { invalidateTag: (tag: string) => cache.invalidateAll(tag) }),
    close: async () => client.disconnect(),
  };
}

export const asyncCacheDedupe: Peer = {
  name: 'async-cache-dedupe',
  packages: ['async-cache-dedupe', 'ioredis'],
  settings: {
    default: 'Redis (memory instead of it for the local hit)',
    best: 'Redis (memory instead of it for the local hit), references, deadline a command',
  },
  cannot: (ability, settings) => {
    if (ability === 'memoryBesideRedis') return 'a storage is memory or Redis, not both';
    return ability === 'tags' && settings === 'default'
      ? 'invalidation by reference is off until it is enabled'
      : undefined;
  },
  open,
};
