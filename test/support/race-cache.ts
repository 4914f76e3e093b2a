import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import type pg from 'pg';
import { Cache } from '../../src/client/cache.ts';
import type { CacheStore, WriteLeaseRequest } from '../../src/client/cache-store.ts';
import { readTokenAfterWrite } from '../../src/client/after-write.ts';
import { lendClient } from '../../src/client/lent-client.ts';
import type { Pool } from '../../src/client/pool.ts';
import { readLimits } from '../../src/client/options.ts';
import type { Origin } from '../../src/client/origin.ts';
import { SourceOrigin } from '../../src/client/source-origin.ts';
import type { BusConfig } from '../../src/config/bus-config.ts';
import { keyspaceOf } from '../../src/config/region-keyspace.ts';
import { connectClient } from '../../src/drivers/redis/client-connection.ts';
import type { Keyspace } from '../../src/protocol/keyspace.ts';
import { LSN_ZERO, lsnFromHex } from '../../src/protocol/lsn.ts';
import { systemClock } from '../../src/runtime/clock.ts';

/** What is switched off, or held up, in a client that is otherwise the real one. */
export interface Wraps {
  readonly store?: (store: CacheStore, redis: Redis, keyspace: Keyspace) => CacheStore;
  readonly origin?: (origin: Origin) => Origin;
  /** The pool of writes. */
  readonly pool?: (pool: pg.Pool) => Pool;
}

export interface RacePlace {
  readonly config: BusConfig;
  readonly redisUrl: string;
  readonly primary: pg.Pool;
  readonly replica?: pg.Pool;
}

/** The client as `createCache` puts it together, with a hand between it and its ports. */
export async function openRaceCache(
  place: RacePlace,
  wraps: Wraps = {},
): Promise<{ cache: Cache; close(): Promise<void> }> {
  const { config, redisUrl, primary, replica } = place;
  const region = config.regions.get('eu');
  if (region === undefined) throw new Error('The file has no region eu.');
  const keyspace = keyspaceOf(config, region);
  // A busy machine is no Redis that is away, and a test holds a load for longer than an application would.
  const limits = readLimits({ commandTimeoutMs: 5000, loadTimeoutMs: 120_000 });
  const redis = new Redis(redisUrl, { lazyConnect: true });
  redis.on('error', () => undefined);
  const connection = connectClient(redis, keyspace, { name: 'race', commandTimeoutMs: 5000, isCluster: false });
  await connection.ready(10_000);
  const pools = replica === undefined ? { primary } : { primary, replica };
  const cache = new Cache(
    {
      config,
      limits,
      store: wraps.store?.(connection.store, redis, keyspace) ?? connection.store,
      leaseEnds: connection.leaseEnds,
      fleet: connection.fleet,
      clock: systemClock,
      random: Math.random,
      process: randomBytes(9).toString('hex'),
      listener: () => undefined,
      sourceOrigin: (family, rule) => {
        const origin = new SourceOrigin({
          family,
          pools,
          keyTypes: () => rule.keyTypes,
          monotonicMs: () => performance.now(),
        });
        return wraps.origin?.(origin) ?? origin;
      },
      hasReplica: replica !== undefined,
      primary: wraps.pool?.(primary) ?? primary,
      tokenOf: () => lendClient(primary, undefined, (client) => readTokenAfterWrite(client, {})),
      renew: () => connection.renew(),
      disconnect: () => connection.close(),
    },
    await connection.store.rules(),
  );
  return {
    cache,
    close: async () => {
      await cache.drain();
      redis.disconnect();
    },
  };
}

/** As if everything were settled on the primary at every moment. */
export function alwaysSettled(store: CacheStore): CacheStore {
  const settled = lsnFromHex('f'.repeat(16));
  return over(store, {
    lease: async (entry, request) => {
      const reply = await store.lease(entry, request);
      if (reply.kind !== 'leased') return reply;
      const { reading } = reply;
      return { kind: 'leased', reading: { ...reading, settledPrimary: { timeline: reading.timeline, lsn: settled } } };
    },
  });
}

/** As if a new epoch had no floor, and no mark an LSN. */
export function withoutFloor(store: CacheStore): CacheStore {
  return over(store, {
    lease: async (entry, request) => {
      const reply = await store.lease(entry, request);
      return reply.kind === 'leased' ? { ...reply, reading: { ...reply.reading, floor: LSN_ZERO } } : reply;
    },
  });
}

/** Stores as a cache would that compares nothing: stamped as of now, whatever happened since the lease. */
export function blindStore(store: CacheStore, redis: Redis, keyspace: Keyspace): CacheStore {
  return over(store, {
    store: async ({ key, cell }, { id, payload, ttlMs }) => {
      const epoch = await redis.hget(keyspace.state(cell), 'epoch');
      const offset = await redis.hget(keyspace.record(cell), 'offset');
      const header = `aw1 v ${epoch} ${offset} ${id} - - -\n`;
      await redis.set(keyspace.valueKey(key, cell), header + String(payload), 'PX', ttlMs);
      return { kind: 'stored' };
    },
  });
}

/** Takes a writer's lease behind his COMMIT, in the moment of his store. */
export function leaseAfterCommit(store: CacheStore): CacheStore {
  const writers = new Map<string, WriteLeaseRequest>();
  return over(store, {
    leaseToWrite: async (_, request) => {
      writers.set(request.token, request);
      return { kind: 'leased', reading: { epoch: '', offset: 0 } };
    },
    store: async (entry, request) => {
      const lease = writers.get(request.token);
      if (lease === undefined) return store.store(entry, request);
      const reply = await store.leaseToWrite(entry, lease);
      if (reply.kind !== 'leased') return { kind: 'refused', why: 'lost' };
      return store.store(entry, { ...request, ...reply.reading });
    },
  });
}

/** Stops each reader between its load and its store. */
export class StoppedReaders {
  readonly #goOn = Promise.withResolvers<void>();
  stopped = 0;

  wrap(store: CacheStore): CacheStore {
    return over(store, {
      store: async (entry, request) => {
        this.stopped += 1;
        await this.#goOn.promise;
        return store.store(entry, request);
      },
    });
  }

  goOn(): void {
    this.#goOn.resolve();
  }
}

function over(store: CacheStore, own: Partial<CacheStore>): CacheStore {
  return {
    read: (entry, wants) => store.read(entry, wants),
    lease: (entry, request) => store.lease(entry, request),
    leaseToWrite: (entry, request) => store.leaseToWrite(entry, request),
    store: (entry, request) => store.store(entry, request),
    giveUp: (entry, token) => store.giveUp(entry, token),
    evict: (entries) => store.evict(entries),
    rules: () => store.rules(),
    ...own,
  };
}
