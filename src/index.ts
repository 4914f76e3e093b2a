// The library's entry, and the composition root of the client: here its Redis is chosen.
import { randomBytes } from 'node:crypto';
import { Cache } from './client/cache.ts';
import { type ConfigSource, readBusConfig } from './client/config-source.ts';
import { type EventListener, warnByProcess } from './client/events.ts';
import { type CacheLimits, readLimits } from './client/options.ts';
import {
  type ApplicationRedis,
  type ClientConnection,
  connectClient,
  isClusterOf,
} from './drivers/redis/client-connection.ts';
import { isBusError } from './protocol/errors.ts';
import { createKeyspace } from './protocol/keyspace.ts';
import { systemClock } from './runtime/clock.ts';

export type { Cache, FamilyOptions } from './client/cache.ts';
export type { CacheFamily } from './client/cache-family.ts';
export type { CacheEvent, EventCode } from './client/events.ts';
// With a star, so that an application's `declare module 'afterwrite'` meets the interface itself.
export type * from './client/families.ts';
export type { Inspection } from './client/inspect.ts';
export type { ReadOptions } from './client/reading.ts';
export type { CacheStats } from './client/stats.ts';
export { BusError, type ErrorCode, isBusError } from './protocol/errors.ts';

export interface CacheOptions extends Partial<CacheLimits> {
  /** The bus's file, several, or its text. */
  readonly config: ConfigSource;
  /** The region of this process, as the file names it. */
  readonly region: string;
  /** The region's Redis: an instance of ioredis 5 or 6, Redis or Cluster. It is duplicated, and stays the application's. */
  readonly redis: ApplicationRedis;
  /** What the file's `${NAME}` stand for. Default: the environment of the process. */
  readonly env?: NodeJS.ProcessEnv;
  /** Told what is no error of a call. Default: Node's process warnings. */
  readonly onEvent?: EventListener;
}

/** How long the start waits for Redis. Without it the cache begins all the same, and reads go to the loaders. */
const START_WAIT_MS = 1000;

/** Opens a region's cache. Throws `CONFIG_INVALID`, `CACHE_OPTION_INVALID`, `CACHE_REDIS_UNFIT` or `REDIS_DENIED`. */
export async function createCache(options: CacheOptions): Promise<Cache> {
  const limits = readLimits(options);
  const isCluster = isClusterOf(options.redis);
  const config = await readBusConfig(options.config, options.region, options.env ?? process.env);
  const { bus, prefix, log } = config;
  const keyspace = createKeyspace({ bus, prefix, cells: log.partitions, clustered: isCluster });
  const name = `afterwrite-client-${bus}`;
  const connection = connectClient(options.redis, keyspace, {
    name,
    commandTimeoutMs: limits.commandTimeoutMs,
    isCluster,
  });
  const rules = await start(connection);
  return new Cache(
    {
      config,
      limits,
      store: connection.store,
      leaseEnds: connection.leaseEnds,
      fleet: connection.fleet,
      clock: systemClock,
      random: Math.random,
      process: randomBytes(9).toString('hex'),
      listener: options.onEvent ?? warnByProcess,
      renew: () => connection.renew(),
      disconnect: () => connection.close(),
    },
    rules,
  );
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
