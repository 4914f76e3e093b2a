// The library's entry, and the composition root of the client: here its Redis is chosen.
import { randomBytes } from 'node:crypto';
import { type BufferMode, openBuffers } from './open-buffers.ts';
import { readTokenAfterWrite } from './client/after-write.ts';
import { Cache, type CachePorts } from './client/cache.ts';
import { type ConfigSource, readBusConfig } from './client/config-source.ts';
import type { BusConfig } from './config/bus-config.ts';
import { Announcer, type EventListener, warnByProcess } from './client/events.ts';
import { lendClient } from './client/lent-client.ts';
import { type CacheLimits, readLimits } from './client/options.ts';
import { checkPools } from './client/pool-check.ts';
import type { Pool, PoolClient } from './client/pool.ts';
import { SourceOrigin } from './client/source-origin.ts';
import type { Pools } from './client/source-read.ts';
import { type LocalValues, TrackedTier } from './client/tracked-tier.ts';
import {
  type ApplicationRedis,
  type ClientConnection,
  connectClient,
  isClusterOf,
} from './drivers/redis/client-connection.ts';
import { BusError, isBusError } from './protocol/errors.ts';
import { createKeyspace } from './protocol/keyspace.ts';
import { gateOf } from './protocol/region-gate.ts';
import { systemClock } from './runtime/clock.ts';

export type { BufferDepth } from './buffer/buffer-log.ts';
export type { Counter } from './buffer/counter.ts';
export type { KeyValue, RowValue } from './buffer/key-text.ts';
export type { BufferStats } from './buffer/open-buffer.ts';
export type { RowBuffer } from './buffer/row-buffer.ts';
export type { BufferMode } from './open-buffers.ts';
export type { AfterWriteOptions } from './client/after-write.ts';
export type { Cache } from './client/cache.ts';
export type { FamilyOptions } from './client/open-family.ts';
export type { CacheFamily } from './client/cache-family.ts';
export type { Answer } from './client/endpoint-answer.ts';
export type { Endpoint, EndpointOptions, EndpointRequest } from './client/endpoint.ts';
export type { CacheEvent, EventCode } from './client/events.ts';
// With a star, so that an application's `declare module 'afterwrite'` meets the interface itself.
export type * from './client/buffers.ts';
export type * from './client/families.ts';
export type { Inspection } from './client/inspect.ts';
export type { Pool, PoolClient, Queryable, WriteSession } from './client/pool.ts';
export type { Pools } from './client/source-read.ts';
export type { LocalValues } from './client/tracked-tier.ts';
export type { ReadOptions } from './client/read-call.ts';
export type { CacheStats } from './client/stats.ts';
export type { Warmed, WarmedKey } from './client/warmed.ts';
export type { WriteOptions } from './client/writing.ts';
export type { RegionGate } from './protocol/region-gate.ts';
export { BusError, type ErrorCode, isBusError } from './protocol/errors.ts';

export interface CacheOptions extends Partial<CacheLimits> {
  /** The bus's file, several, or its text. */
  readonly config: ConfigSource;
  /** The region of this process, as the file names it. */
  readonly region: string;
  /** The region's Redis: an instance of ioredis 5 or 6, Redis or Cluster. It is duplicated, and stays the application's. */
  readonly redis: ApplicationRedis;
  /** Pools of `pg` for families with a `source`, and for `afterWrite`. They stay the application's. */
  readonly postgres?: Pools;
  /** What the file's `${NAME}` stand for. Default: the environment of the process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Whether what is answered from the process's memory is a copy for each caller, or one frozen value for all. Default `copied`. */
  readonly localValues?: LocalValues;
  /**
   * What this process does with the file's buffers: `append` (the default) opens them, `flush` brings them into Postgres too, by the pool of the
   * primary; `off` opens none.
   */
  readonly buffers?: BufferMode;
  /** Whether a sample of this process's reads is counted, and what it reads most told to the region, for warm-ups. Default true. */
  readonly hotKeys?: boolean;
  /** Told what is no error of a call. Default: Node's process warnings. */
  readonly onEvent?: EventListener;
}

/** How long the start waits for Redis. Without it the cache begins all the same, and reads go to the loaders. */
const START_WAIT_MS = 1000;

/**
 * Opens a region's cache. Throws `CONFIG_INVALID`, `CACHE_OPTION_INVALID`, `CACHE_REDIS_UNFIT` or `REDIS_DENIED`; for buffers `BUFFER_REDIS_UNFIT` or
 * `BUFFER_LOSS_UNKEPT`; and for pools that are not what
 * they are passed for `POSTGRES_POOL_INVALID`, `POSTGRES_POOL_MISDIRECTED` or `REPLICA_UNFIT`.
 */
export async function createCache(options: CacheOptions): Promise<Cache> {
  const limits = readLimits(options);
  const isCluster = isClusterOf(options.redis);
  const config = await readBusConfig(options.config, options.region, options.env ?? process.env);
  const { bus, prefix, log } = config;
  const listener = options.onEvent ?? warnByProcess;
  const announcer = new Announcer(listener, systemClock);
  const pools = options.postgres;
  for (const error of pools === undefined ? [] : await checkPools(pools, AbortSignal.timeout(START_WAIT_MS)))
    announcer.say('pool-unfit', { detail: error.message, error });
  const keyspace = createKeyspace({ bus, prefix, cells: log.partitions, clustered: isCluster });
  const name = `afterwrite-client-${bus}`;
  const connection = connectClient(options.redis, keyspace, {
    name,
    commandTimeoutMs: limits.commandTimeoutMs,
    isCluster,
  });
  const rules = await start(connection);
  const processName = randomBytes(9).toString('hex');
  const buffers = await openBuffers({
    config,
    mode: options.buffers ?? 'append',
    primary: pools?.primary,
    process: processName,
    announcer,
    waitMs: START_WAIT_MS,
  }).catch(async (error: unknown) => {
    await connection.close();
    throw error;
  });
  const tier = openTier({ config, limits, values: options.localValues ?? 'copied', isCluster, announcer });
  if (tier !== undefined)
    connection.track({
      process: processName,
      staleMs: limits.localStaleMs,
      news: tier,
      refused: (error) => announcer.say('local-off', { detail: error.message, error }),
    });
  return new Cache(
    {
      config,
      limits,
      store: connection.store,
      leaseEnds: connection.leaseEnds,
      fleet: connection.fleet,
      clock: systemClock,
      random: Math.random,
      process: processName,
      ...(tier === undefined ? {} : { tier }),
      ...(options.hotKeys === false ? {} : { hotReads: connection.hotReads }),
      buffers,
      listener,
      ...(pools === undefined ? {} : postgresPorts(pools, limits.loadTimeoutMs, announcer)),
      gate: async () => gateOf(await connection.gate.read(), config.warmup.ramp),
      renew: () => connection.renew(),
      refusals: (refused) => connection.onRefusal(refused),
      disconnect: () => connection.close(),
    },
    rules,
  );
}

interface TierWish {
  readonly config: BusConfig;
  readonly limits: CacheLimits;
  readonly values: LocalValues;
  readonly isCluster: boolean;
  readonly announcer: Announcer;
}

/** The tier in the process's memory, where a family wishes for one. */
function openTier({ config, limits, values, isCluster, announcer }: TierWish): TrackedTier | undefined {
  const local = [...config.families.values()].filter(({ localMs }) => localMs > 0);
  if (local.length === 0 || limits.localEntriesMax === 0) return undefined;
  if (values !== 'copied' && values !== 'shared')
    throw new BusError('CACHE_OPTION_INVALID', `localValues is "${String(values)}": copied or shared is expected.`);
  if (isCluster) {
    const names = local.map(({ name }) => name).join(', ');
    const why = `A Redis Cluster does not tell one connection of all its nodes. Families: ${names}.`;
    announcer.say('local-off', { detail: why });
    return undefined;
  }
  return new TrackedTier({
    clock: systemClock,
    cells: config.log.partitions,
    entriesMax: limits.localEntriesMax,
    staleMs: limits.localStaleMs,
    values,
  });
}

function postgresPorts(
  pools: Pools,
  limitMs: number,
  announcer: Announcer,
): Pick<CachePorts, 'sourceOrigin' | 'hasReplica' | 'tokenOf' | 'primary'> {
  return {
    ...(pools.primary === undefined ? {} : { primary: pools.primary }),
    sourceOrigin: (family, rule) =>
      new SourceOrigin({
        family,
        pools,
        keyTypes: () => rule.keyTypes,
        monotonicMs: () => systemClock.monotonicMs(),
        oneByOne: (why) => announcer.say('source-one-by-one', { family: family.name, detail: why }),
      }),
    hasReplica: pools.replica !== undefined,
    tokenOf: async (on, options) => {
      if (on !== undefined) return readTokenAfterWrite(on, options);
      if (pools.primary !== undefined)
        return askInTime(pools.primary, limitMs, (client) => readTokenAfterWrite(client, options));
      throw new BusError('POSTGRES_POOL_INVALID', 'afterWrite needs a pool of the primary, or the client that wrote.');
    },
  };
}

/** A pool waits for a free client without end, and pg for an answer. */
async function askInTime<T>(pool: Pool, limitMs: number, body: (client: PoolClient) => Promise<T>): Promise<T> {
  const late = AbortSignal.timeout(limitMs);
  return lendClient(pool, late, body).catch((error: unknown) => {
    if (error !== late.reason) throw error;
    throw new BusError('POSTGRES_UNREACHABLE', `postgres.primary did not answer within ${limitMs} ms.`, {
      cause: error,
    });
  });
}

async function start(connection: ClientConnection): Promise<ReadonlyMap<string, string>> {
  try {
    await connection.ready(START_WAIT_MS);
    return await connection.store.rules();
  } catch (error) {
    if (isBusError(error, 'REDIS_UNREACHABLE')) return new Map();
    await connection.close();
    throw error;
  }
}
