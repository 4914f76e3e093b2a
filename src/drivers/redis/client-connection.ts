import type { Cluster, Redis } from 'ioredis';
import type { Fleet } from '../../client/fleet.ts';
import type { LeaseEnds } from '../../client/lease-ends.ts';
import type { TierNews } from '../../client/tier.ts';
import { BusError } from '../../protocol/errors.ts';
import type { Keyspace } from '../../protocol/keyspace.ts';
import type { GateStore } from '../../protocol/region-gate.ts';
import { RedisCacheStore } from './cache-store.ts';
import { type Ask, redisError, type RedisConnection, type ServerConnection } from './connection.ts';
import { Deadline } from './deadline.ts';
import { InvalidatedKeys } from './invalidated-key.ts';
import type { HotReadsSink } from '../../client/hot-keys.ts';
import { RedisHotReads } from './hot-reads.ts';
import { RedisLeaseEnds } from './lease-ends.ts';
import { RedisGateStore } from './region-gate.ts';
import { scriptsOf } from './scripts.ts';
import { Tracking } from './tracking.ts';

/** An instance of ioredis 5 or 6, of the application's own copy. Nothing is sent on it: it is duplicated. */
export interface ApplicationRedis {
  readonly status: string;
  duplicate(...args: never[]): unknown;
}

/** The connections of a cache, by the application's address and credentials, but by our own rules. */
export interface ClientConnection {
  readonly store: RedisCacheStore;
  readonly leaseEnds: LeaseEnds;
  readonly fleet: Fleet;
  readonly gate: GateStore;
  readonly hotReads: HotReadsSink;
  /** Resolves as soon as the connection stands; throws `REDIS_UNREACHABLE` or `REDIS_DENIED` where it does not within the limit. */
  ready(limitMs: number): Promise<void>;
  /** Tells of each refusal of a log-in or of the channel of notices, from the start on. */
  onRefusal(listener: (error: BusError) => void): void;
  /** Connects anew where the connection only seems to stand: a server that has vanished does not say so. */
  renew(): void;
  /** Tells what is invalidated of all that is read from now on. One server only. */
  track(options: TrackOptions): void;
  close(): Promise<void>;
}

export interface TrackOptions {
  /** Unique in the fleet. */
  readonly process: string;
  readonly staleMs: number;
  readonly news: TierNews;
  /** Redis refuses, for a reason that does not pass by itself. */
  readonly refused: (error: Error) => void;
}

/** A pulse's key is gone when the next but one comes. */
const PULSE_STANDS_MS = 2000;
/** By the server's clock: thrice the beat of the client. */
const FLEET_LIVING_MS = 15_000;
const RECONNECT = { firstMs: 50, maxMs: 1000 };
/** A connection that has been in the making for so long is made anew. */
const STUCK_MS = 2000;
const VANISHED_MS = 100;

/** Whether an instance is a Cluster of ioredis. Throws `CACHE_REDIS_UNFIT` where it is neither that nor a Redis, or reads from replicas. */
export function isClusterOf(redis: ApplicationRedis): boolean {
  const { isCluster, options } = (redis ?? {}) as {
    isCluster?: boolean;
    options?: Readonly<Record<string, unknown>>;
  };
  if (typeof redis?.duplicate !== 'function' || typeof options !== 'object' || options === null)
    throw new BusError('CACHE_REDIS_UNFIT', 'An instance of ioredis is expected: new Redis(...) or new Cluster(...).');
  const scaleReads = options['scaleReads'];
  if (scaleReads !== undefined && scaleReads !== 'master')
    throw new BusError(
      'CACHE_REDIS_UNFIT',
      'The Cluster has scaleReads other than "master": replicas lag behind evictions.',
    );
  const role = options['role'];
  if (options['readOnly'] === true || (role !== undefined && role !== 'master'))
    throw new BusError('CACHE_REDIS_UNFIT', 'The instance reads from a replica of Redis, which lags behind evictions.');
  return isCluster === true;
}

/** Duplicates an instance. Keys of the bus are whole, so its `keyPrefix` is not taken along; its database number is. */
export function connectClient(
  redis: ApplicationRedis,
  keyspace: Keyspace,
  options: { readonly name: string; readonly commandTimeoutMs: number; readonly isCluster: boolean },
): ClientConnection {
  const own = duplicate(redis, options.isCluster, options.name);
  const deadline = new Deadline(options.commandTimeoutMs);
  const asks: Ask = (_, at, command) =>
    deadline.watch(command, (error) => {
      const coded = redisError(error, at);
      // Reads go on at a master that was made a replica, as old as its link is, and keep the breaker closed; by a new connection the address may
      // lead to the new master.
      if (coded.code === 'REDIS_UNREACHABLE' && coded.message.startsWith('READONLY')) leave();
      return coded;
    });
  const run = scriptsOf(own, asks);
  const leaseEnds = new RedisLeaseEnds(
    () => duplicate(redis, options.isCluster, `${options.name}-notices`),
    keyspace.leaseEnds,
    (error) => failed(error),
  );
  let tracking: Tracking | undefined;
  let refused: (error: BusError) => void = () => undefined;
  const failed = (error: unknown): void => {
    const coded = redisError(error, 'the region’s Redis');
    if (coded.code === 'REDIS_DENIED') refused(coded);
  };
  own.on('error', failed);
  let connectingSinceMs = performance.now();
  own.on('connecting', () => (connectingSinceMs = performance.now()));
  let isClosed = false;
  // Until the socket has closed, which a frozen server puts off, ioredis calls the connection ready, and each disconnect adds listeners and a timer.
  let leftMs = Number.NEGATIVE_INFINITY;
  const leave = (): void => {
    if (isClosed || performance.now() - leftMs < STUCK_MS) return;
    leftMs = performance.now();
    own.disconnect(true);
  };
  const renew = (): void => {
    if (isClosed) return;
    const isMaking = own.status === 'connecting' || own.status === 'connect';
    if (own.status === 'ready' || (isMaking && performance.now() - connectingSinceMs > STUCK_MS)) leave();
    // An application's own strategy for Sentinels may have given up.
    if (own.status === 'end') own.connect().catch(() => undefined);
  };
  return {
    store: new RedisCacheStore(own, keyspace, asks),
    leaseEnds,
    gate: new RedisGateStore(own, keyspace.gate, asks),
    hotReads: new RedisHotReads(own, keyspace.hotReads, asks),
    fleet: {
      enlist: async (process) => Number(await run('enlist', [keyspace.clients], [process, FLEET_LIVING_MS])),
      dismiss: async (process) => void (await asks(own, keyspace.clients, own.zrem(keyspace.clients, process))),
    },
    ready: async (limitMs) => {
      own.connect().catch(() => undefined);
      await untilReady(own, limitMs);
    },
    renew,
    onRefusal: (listener) => {
      refused = listener;
    },
    track: ({ process, staleMs, news, refused }) => {
      tracking ??= new Tracking(
        {
          reading: own,
          // As RESP2 knows it; ioredis 6 speaks RESP3 unless told otherwise, and drops what comes by it.
          connect: () => duplicate(redis, false, `${options.name}-tracking`, TRACKING_ONCE) as ServerConnection,
          trackTo: (id) => asks(own, 'CLIENT TRACKING', own.call('CLIENT', 'TRACKING', 'ON', 'REDIRECT', String(id))),
          pulse: (key) => run('pulse', [key], [PULSE_STANDS_MS]),
          pulseKey: (number) => keyspace.pulse(process, number),
          keys: new InvalidatedKeys(keyspace),
          staleMs,
          news,
        },
        { renew, refused },
      );
    },
    close: async () => {
      isClosed = true;
      await tracking?.close();
      await leaseEnds.close();
      own.disconnect();
    },
  };
}

const TRACKING_ONCE = { protocol: 2, retryStrategy: () => null };

function duplicate(
  redis: ApplicationRedis,
  isCluster: boolean,
  connectionName: string,
  more: object = {},
): RedisConnection {
  // Jitter, so that a fleet does not come back in one moment.
  const retry = (times: number): number =>
    (0.5 + Math.random() / 2) * Math.min(RECONNECT.maxMs, RECONNECT.firstMs * 2 ** Math.min(times, 10));
  const each = {
    connectionName,
    keyPrefix: '',
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    enableAutoPipelining: false,
    maxRetriesPerRequest: 0,
    stringNumbers: false,
    replyMapping: 'legacy',
    reconnectOnError: null,
    connectTimeout: STUCK_MS,
    // A server that has vanished acknowledges no end of the connection.
    disconnectTimeout: VANISHED_MS,
  };
  const cluster = redis as unknown as Cluster;
  const own = isCluster
    ? cluster.duplicate([], {
        ...each,
        lazyConnect: true,
        scaleReads: 'master',
        clusterRetryStrategy: retry,
        redisOptions: { ...cluster.options.redisOptions, ...each },
      } as never)
    : (redis as unknown as Redis).duplicate({
        ...each,
        lazyConnect: true,
        commandTimeout: undefined,
        retryStrategy: retry,
        ...more,
      } as never);
  // The commands' own failures tell; an unheard 'error' event would end the process.
  own.on('error', () => undefined);
  return own;
}

function untilReady(own: RedisConnection, limitMs: number): Promise<void> {
  if (own.status === 'ready') return Promise.resolve();
  return new Promise((resolve, reject) => {
    let last: unknown = new Error(`no connection within ${limitMs} ms`);
    const failed = (error: unknown): void => {
      last = error;
      if (redisError(error, '').code === 'REDIS_DENIED') end(reject, redisError(error, 'the region’s Redis'));
    };
    const timer = setTimeout(() => end(reject, redisError(last, 'the region’s Redis')), limitMs);
    const ready = (): void => end(resolve, undefined);
    const end = <T>(settle: (value: T) => void, value: T): void => {
      clearTimeout(timer);
      own.off('ready', ready);
      own.off('error', failed);
      settle(value);
    };
    own.on('ready', ready);
    own.on('error', failed);
  });
}
