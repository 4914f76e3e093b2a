import { BentoCache, bentostore } from 'bentocache';
import { memoryDriver } from 'bentocache/drivers/memory';
import { redisBusDriver, redisDriver } from 'bentocache/drivers/redis';
import { Redis } from 'ioredis';
import { type OpenOptions, type Peer, type PeerCache, type Row, TTL_MS } from '../adapter.ts';
import { clientOptions, connect } from '../ioredis-client.ts';

/**
 * default: "Setup" of https://bentocache.dev/docs/quick-setup, the store named "multitier".
 *
 * best, each from https://bentocache.dev/docs/:
 * - multi-tier, "Bus": useBus, so that other processes forget their copies
 * - options and grace-periods: grace, with the soft and hard timeouts of the example in timeouts, "Hard timeouts"
 * - options: l2CircuitBreakerDuration, suppressL2Errors, lockTimeout
 * - cache-drivers, "Redis": an ioredis instance of one's own, here with a deadline a command
 *
 * In a worker `ioredis` is version 5 here (ioredis-five.ts).
 *
 * Not cache-drivers, "`serialize` option": with Redis behind it, serialize: false throws at the second read of what came from Redis (1.6.1;
 * https://github.com/Julien-R44/bentocache/issues/111).
 */
async function open({ redisUrl, settings, tiers }: OpenOptions): Promise<PeerCache> {
  const isBest = settings === 'best';
  const connection = await connect(redisUrl, clientOptions(settings), Redis);
  // A subscriber may wait for ever, and has to come back by itself.
  const busConnection = isBest && tiers !== 'redis' ? await connect(redisUrl, {}, Redis) : undefined;
  let store = bentostore();
  if (tiers !== 'redis') store = store.useL1Layer(memoryDriver({ maxSize: '10mb' }));
  store = store.useL2Layer(redisDriver({ connection }));
  if (busConnection !== undefined) store = store.useBus(redisBusDriver({ connection: busConnection }));
  const bento = new BentoCache({
    default: 'cache',
    ttl: TTL_MS,
    ...(isBest && {
      grace: '6h',
      timeout: '200ms',
      hardTimeout: '10s',
      lockTimeout: '10s',
      l2CircuitBreakerDuration: '1s',
      suppressL2Errors: true,
    }),
    stores: { cache: store },
  });
  return {
    get: (key, load, tags) =>
      bento.getOrSet<Row>({ key, factory: load, ...(tags !== undefined && { tags: [...tags] }) }),
    invalidateKey: async (key) => void (await bento.delete({ key })),
    invalidateTag: async (tag) => void (await bento.deleteByTag({ tags: [tag] })),
    close: () => bento.disconnectAll(),
  };
}

export const bentocache: Peer = {
  name: 'bentocache',
  packages: ['bentocache', 'ioredis-5'],
  settings: {
    default: 'memory and Redis',
    best: 'memory, Redis, bus, grace, soft and hard timeout, circuit breaker, deadline a command',
  },
  cannot: () => undefined,
  open,
};
