import { BusError } from '../protocol/errors.ts';

/** The limits of a client. Times in milliseconds. Each has a default that a service can begin with. */
export interface CacheLimits {
  /** A command to Redis without an answer for so long has failed. Default 50. */
  readonly commandTimeoutMs: number;
  /** How long a load may take, and a lease stand; also how long `afterWrite` waits for the cache’s pool. Default 10,000. */
  readonly loadTimeoutMs: number;
  /** How long a load from the primary waits for the last eviction of its key to be visible there. Default 10. */
  readonly settleWaitMs: number;
  /** Loads under way in this process. Default 32. */
  readonly loadsMax: number;
  /** Loads under way in all processes together while Redis is away; each takes its share by the number last seen. Default 256. */
  readonly fleetLoadsMax: number;
  /** Loads that may wait in this process. Default 1,000. */
  readonly loadQueueMax: number;
  /** How long one of them may. Default 2,000. */
  readonly loadQueueWaitMs: number;
  /** How long a loader's error answers for its key, at most; half of it at least. 0 turns it off. Default 1,000. */
  readonly failureMemoryMs: number;
  /** How long a read with a token waits for the region, before it goes past the cache. Default 200. */
  readonly tokenWaitMs: number;
  /** Evictions that are kept while Redis is away. Default 10,000. */
  readonly keptEvictionsMax: number;
  /** Last values that are kept for families with a stale bound, to be served where nothing else can be. Default 1,000. */
  readonly lastValuesMax: number;
  /** Values that are kept in the process's memory, of families with a `local` time. 0 turns it off. Default 10,000. */
  readonly localEntriesMax: number;
  /** How old, at most, a value from the process's memory may be by what Redis has told. Default 2,000. */
  readonly localStaleMs: number;
  /** Failures in a row after which Redis is not asked. Default 5. */
  readonly breakerFailures: number;
  /** How long it is not asked, before one command tries. Default 500. */
  readonly breakerWaitMs: number;
  /** How long `drain` waits for loads. Default 10,000. */
  readonly drainWaitMs: number;
}

export const DEFAULT_LIMITS: CacheLimits = {
  commandTimeoutMs: 50,
  loadTimeoutMs: 10_000,
  settleWaitMs: 10,
  loadsMax: 32,
  fleetLoadsMax: 256,
  loadQueueMax: 1000,
  loadQueueWaitMs: 2000,
  failureMemoryMs: 1000,
  tokenWaitMs: 200,
  keptEvictionsMax: 10_000,
  lastValuesMax: 1000,
  localEntriesMax: 10_000,
  localStaleMs: 2000,
  breakerFailures: 5,
  breakerWaitMs: 500,
  drainWaitMs: 10_000,
};

/** Those that may be nothing. */
const ZERO_ALLOWED: ReadonlySet<string> = new Set<keyof CacheLimits>([
  'settleWaitMs',
  'loadQueueMax',
  'loadQueueWaitMs',
  'failureMemoryMs',
  'tokenWaitMs',
  'keptEvictionsMax',
  'lastValuesMax',
  'localEntriesMax',
  'drainWaitMs',
]);

/** A pulse comes twice in this time. */
const LEAST: Readonly<Record<string, number>> = { localStaleMs: 100 } satisfies Partial<CacheLimits>;

/** What is given over the defaults. Throws `CACHE_OPTION_INVALID`. */
export function readLimits(given: Partial<CacheLimits>): CacheLimits {
  const limits: Record<string, number> = { ...DEFAULT_LIMITS };
  for (const name of Object.keys(DEFAULT_LIMITS) as (keyof CacheLimits)[]) {
    const value = given[name];
    if (value === undefined) continue;
    const least = LEAST[name] ?? (ZERO_ALLOWED.has(name) ? 0 : 1);
    if (!Number.isSafeInteger(value) || value < least)
      throw new BusError('CACHE_OPTION_INVALID', `${name} is ${value}: a whole number from ${least} is expected.`);
    limits[name] = value;
  }
  return limits as unknown as CacheLimits;
}
