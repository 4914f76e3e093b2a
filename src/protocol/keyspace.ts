import { cellTag } from './cell-tag.ts';

/**
 * Every Redis key that we write. `<bus>` is the bus's name, `{<cell>}` the hash tag that keeps a cell in one slot of a Redis Cluster.
 *
 *     <prefix>user:42                        a cached value                      (in a Cluster: <prefix>{<cell>}user:42)
 *     afterwrite:<bus>:{<cell>}:slot:<key>   what stands beside a plain value: its header, or a lease on it
 *     afterwrite:<bus>:{<cell>}:record       hash, the cell's region record
 *     afterwrite:<bus>:{<cell>}:state        hash, the cell's state
 *     afterwrite:<bus>:{<cell>}:sweeps       hash, sweeps that are owed
 *     afterwrite:<bus>:{<cell>}:refreshes    hash, keys that are to be loaded anew: <key> -> <commit LSN> <family>
 *     afterwrite:<bus>:lease-ends            channel, the keys whose lease has ended while somebody waited
 *     afterwrite:<bus>:agents                sorted set, the live agents of the region, by the Redis server's clock in milliseconds
 *     afterwrite:<bus>:clients               sorted set, the live processes that use the client, likewise
 *     afterwrite:<bus>:gate                  hash, whether the region is fit for traffic (region-gate.ts)
 *     afterwrite:<bus>:hot-reads             stream, bounded: what processes read most; with a TTL
 *     afterwrite:<bus>:pulse:<process>:<n>   what a client changes to hear of it; stands for a moment
 *
 * Control records carry no TTL, so that a `volatile-*` eviction policy never drops them; what processes read may go.
 */
export interface Keyspace {
  readonly cells: number;
  /** The Redis key of a cached value. */
  readonly valueKey: (cacheKey: string, cell: number) => string;
  /** The Redis key beside a plain value. */
  readonly slotKey: (cacheKey: string, cell: number) => string;
  /** The cache key of a Redis key, or undefined where it is none of this bus. */
  readonly cacheKey: (redisKey: string) => string | undefined;
  /** A SCAN pattern for values from a pattern for cache keys. */
  readonly valueGlob: (cacheKeyGlob: string) => string;
  readonly record: (cell: number) => string;
  readonly state: (cell: number) => string;
  readonly sweeps: (cell: number) => string;
  readonly refreshes: (cell: number) => string;
  readonly leaseEnds: string;
  readonly agents: string;
  readonly clients: string;
  readonly gate: string;
  readonly hotReads: string;
  readonly pulse: (process: string, number: number) => string;
}

export function createKeyspace(options: {
  readonly bus: string;
  readonly prefix: string;
  readonly cells: number;
  readonly clustered: boolean;
}): Keyspace {
  const { bus, prefix, cells, clustered } = options;
  const tags = Array.from({ length: cells }, (_, cell) => `{${cellTag(cell, cells)}}`);
  const missing = (cell: number): never => {
    throw new RangeError(`Cell ${cell} does not exist: the bus has ${cells}.`);
  };
  const tagOf = (cell: number): string => tags[cell] ?? missing(cell);
  const records = tags.map((tag) => `afterwrite:${bus}:${tag}:record`);
  const states = tags.map((tag) => `afterwrite:${bus}:${tag}:state`);
  const globPrefix = prefix.replace(/[*?[\]\\^]/g, '\\$&');
  return {
    cells,
    valueKey: (cacheKey, cell) => (clustered ? `${prefix}${tagOf(cell)}${cacheKey}` : prefix + cacheKey),
    slotKey: (cacheKey, cell) => `afterwrite:${bus}:${tagOf(cell)}:slot:${cacheKey}`,
    cacheKey: (redisKey) => {
      if (!redisKey.startsWith(prefix)) return undefined;
      const rest = redisKey.slice(prefix.length);
      return clustered ? rest.replace(/^\{[^}]*\}/, '') : rest;
    },
    valueGlob: (cacheKeyGlob) => `${globPrefix}${clustered ? '{*}' : ''}${cacheKeyGlob}`,
    record: (cell) => records[cell] ?? missing(cell),
    state: (cell) => states[cell] ?? missing(cell),
    sweeps: (cell) => `afterwrite:${bus}:${tagOf(cell)}:sweeps`,
    refreshes: (cell) => `afterwrite:${bus}:${tagOf(cell)}:refreshes`,
    leaseEnds: `afterwrite:${bus}:lease-ends`,
    agents: `afterwrite:${bus}:agents`,
    clients: `afterwrite:${bus}:clients`,
    gate: `afterwrite:${bus}:gate`,
    hotReads: `afterwrite:${bus}:hot-reads`,
    pulse: (process, number) => `afterwrite:${bus}:pulse:${process}:${number}`,
  };
}

/** Fields of the region record. LSNs are 16 hex digits, offsets decimal, settled marks `<timeline>:<lsn>` in hex (see settled-mark.ts). */
export const RECORD_FIELD = {
  /** `<token>:<count>`: the agent that may write the cell, and a count that shows it lives. Empty: free. */
  owner: 'owner',
  offset: 'offset',
  /** The source epoch, as JSON. */
  sourceEpoch: 'sourceEpoch',
  watermark: 'watermark',
  /** Unix time in milliseconds by the clock of Postgres, as of the watermark. */
  asOf: 'asOf',
  /** `<commit LSN>:<ordinal>`: the item that comes next in the transaction that was reached; empty where none is known. */
  reached: 'reached',
  floor: 'floor',
  settledPrimary: 'settledPrimary',
  settledReplica: 'settledReplica',
  droppedLsn: 'droppedLsn',
  /** One field a bucket that holds anything: `b<number>`. */
  bucketPrefix: 'b',
} as const;

/** Fields of the cell state. A mark is `<offset>:<lsn>`. */
export const STATE_FIELD = {
  epoch: 'epoch',
  familyMarkPrefix: 'f:',
  tagMarkPrefix: 't:',
  /** The rule hash of a family, as the relay published it. */
  rulePrefix: 'r:',
} as const;
