import type { Redis } from 'ioredis';
import {
  createGroupNotificationPair,
  createNotificationPair,
  enrichRedisConfig,
  GroupLoader,
  Loader,
  RedisCache,
  RedisGroupCache,
} from 'layered-loader';
import {
  COMMAND_TIMEOUT_MS,
  type Load,
  type OpenOptions,
  type Peer,
  type PeerCache,
  type Row,
  TTL_MS,
} from '../adapter.ts';
import { clientOptions, connect } from '../ioredis-client.ts';

interface Params {
  readonly key: string;
  readonly load: Load;
}

const keyOf = ({ key }: Params): string => key;
const STORE = { json: true, ttlInMsecs: TTL_MS };

/** "Basic example" of the README: lru-map in memory, Redis as JSON, one source; and "Parametrized loading", for the loader of a call. */
async function openDefault({ redisUrl, tiers }: OpenOptions): Promise<PeerCache> {
  const redis = await connect(redisUrl, clientOptions('default'));
  const loader = new Loader<Row, Params>({
    inMemoryCache: tiers !== 'redis' && { cacheType: 'lru-map', ttlInMsecs: TTL_MS, maxItems: 10_000 },
    asyncCache: new RedisCache<Row>(redis, STORE),
    dataSourceGetOneFn: ({ load }) => load(),
    cacheKeyFromLoadParamsResolver: keyOf,
  });
  return {
    get: async (key, load) => (await loader.get({ key, load })) ?? undefined,
    invalidateKey: (key) => loader.invalidateCacheFor(key),
    close: async () => redis.disconnect(),
  };
}

/**
 * Each from the README:
 * - "Redis pub/sub": a notification pair, so that other processes forget their copies
 * - "RedisCache": timeoutInMsecs (16.1.0 declares it and reads it nowhere, hence the client's own deadline beside it)
 * - "Using `enrichRedisConfig` for your own connections"
 * - "Synchronous short-circuit": getInMemoryOnly before getAsyncOnly
 * - "Group operations": the nearest it has to a tag. An entry has one group, which each read names
 */
async function openBest({ redisUrl, tiers }: OpenOptions): Promise<PeerCache> {
  const redis = await connect(redisUrl, enrichRedisConfig(clientOptions('best')));
  const publisherRedis = await connect(redisUrl, enrichRedisConfig({}));
  // One for each pair: a consumer ends the subscriptions of its connection.
  const consumers = [await connect(redisUrl, {}), await connect(redisUrl, {})] as const;
  const store = { ...STORE, timeoutInMsecs: COMMAND_TIMEOUT_MS };
  const hasMemory = tiers !== 'redis';
  const pair = createNotificationPair<Row>({ channel: 'rows', publisherRedis, consumerRedis: consumers[0] });
  const loader = new Loader<Row, Params>({
    inMemoryCache: hasMemory && { cacheType: 'lru-map', ttlInMsecs: TTL_MS, maxItems: 10_000 },
    asyncCache: new RedisCache<Row>(redis, store),
    dataSourceGetOneFn: ({ load }) => load(),
    cacheKeyFromLoadParamsResolver: keyOf,
    ...(hasMemory && { notificationPublisher: pair.publisher, notificationConsumer: pair.consumer }),
  });
  const groups = openGroups(redis, publisherRedis, consumers[1], hasMemory);
  if (hasMemory) await Promise.all([loader.init(), groups.init()]);
  const load = async (params: Params, group: string | undefined): Promise<Row | undefined> =>
    (await (group === undefined ? loader.getAsyncOnly(params) : groups.get(params, group))) ?? undefined;
  return {
    get: (key, source, tags) => {
      const params = { key, load: source };
      const group = tags?.[0];
      return (group === undefined ? loader.getInMemoryOnly(params) : undefined) ?? load(params, group);
    },
    invalidateKey: (key) => loader.invalidateCacheFor(key),
    invalidateTag: (tag) => groups.invalidateCacheForGroup(tag),
    close: async () => {
      for (const client of [redis, publisherRedis, ...consumers]) client.disconnect();
    },
  };
}

function openGroups(
  redis: Redis,
  publisherRedis: Redis,
  consumerRedis: Redis,
  hasMemory: boolean,
): GroupLoader<Row, Params> {
  const pair = createGroupNotificationPair<Row>({ channel: 'groups', publisherRedis, consumerRedis });
  return new GroupLoader<Row, Params>({
    inMemoryCache: hasMemory && { ttlInMsecs: TTL_MS, maxGroups: 1000, maxItemsPerGroup: 500 },
    asyncCache: new RedisGroupCache<Row>(redis, { ...STORE, prefix: 'groups', timeoutInMsecs: COMMAND_TIMEOUT_MS }),
    dataSources: [
      {
        name: 'rows',
        getFromGroup: ({ load }: Params) => load(),
        getManyFromGroup: async () => [],
      },
    ],
    cacheKeyFromLoadParamsResolver: keyOf,
    ...(hasMemory && { notificationPublisher: pair.publisher, notificationConsumer: pair.consumer }),
  });
}

export const layeredLoader: Peer = {
  name: 'layered-loader',
  packages: ['layered-loader', 'ioredis'],
  settings: {
    default: 'memory and Redis',
    best: 'memory (synchronous first), Redis, notifications, groups for tags, deadline a command',
  },
  cannot: (ability, settings) =>
    ability === 'tags' && settings === 'default' ? 'a Loader has no tags (a GroupLoader has groups: best)' : undefined,
  open: (options) => (options.settings === 'best' ? openBest(options) : openDefault(options)),
};
