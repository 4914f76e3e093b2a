import type { BufferStats } from '../buffer/open-buffer.ts';
import type { RefuseReason } from '../protocol/fill.ts';
import type { StoreRefusal } from './cache-store.ts';

/** What a client counts, since its start. */
export const STATS = {
  reads: 'Calls of get, those of getMany among them.',
  hits: 'Answered by a value in Redis.',
  localHits: 'Answered from the process’s own memory.',
  staleHits: 'Answered by a value past its time to live, within the family’s stale bound.',
  misses: 'Answered by no value in the cache. With the three above, each read is counted once.',
  joins: 'Answered by a load that was under way for another caller.',
  waits: 'Waits for another process’s load.',
  waitsAnswered: 'Of those, ended by a value.',
  loads: 'Loads begun.',
  earlyLoads: 'Of those, before a value’s time was over, while it was served.',
  loadFailures: 'Loads that ended in an error.',
  loadTimeouts: 'Of those, by the deadline.',
  rememberedFailures: 'Answered by the error of a load before.',
  overloads: 'Loads that found no place.',
  lastValues: 'Answered by the last value known, where no load was possible.',
  readThrough: 'Loads of values that may not be stored: rules differ, the loader is unproven, or Redis is away.',
  stored: 'Loaded values that were stored.',
  notStored: 'Loaded values that were not stored under a lease; why, is in `refusals`.',
  labelsMissing: 'Of those, for a label that could not be printed.',
  writes: 'Writes that were committed.',
  writesStored: 'Of those, written through: what they returned was stored.',
  writesNotStored: 'Of those that were to be, evicted instead; why, is in `refusals`.',
  evictions: 'Evictions by this process, those after writes among them.',
  evictionsKept: 'Of those, kept since Redis was away.',
  evictionsLost: 'Evictions beyond the limit of those that are kept, or still kept when the cache was drained.',
  tokenWaits: 'Reads with a token that had to wait for the region.',
  tokenBypasses: 'Of those, past the cache in the end.',
  tooStale: 'Reads with maxStalenessMs that went past the cache.',
  redisFailures: 'Commands of reads and loads to Redis that failed.',
} as const;

export type StatName = keyof typeof STATS;

/**
 * Why a value was not stored: by the reading, by the store, by its labels, as an absence that is not kept, or since what a write returned cannot be.
 */
export type Refusal = RefuseReason | StoreRefusal | 'label' | 'absence' | 'unreachable' | 'value';

export interface CacheStats extends Readonly<Record<StatName, number>> {
  readonly refusals: Readonly<Partial<Record<Refusal, number>>>;
  readonly loadsUnderWay: number;
  readonly loadsWaiting: number;
  readonly evictionsWaiting: number;
  readonly redis: 'closed' | 'open' | 'half-open';
  /** Processes last seen with this bus and region. */
  readonly fleet: number;
  /** Of each buffer that is open, by its name. */
  readonly buffers: Readonly<Record<string, BufferStats>>;
}

export class Counters {
  readonly values: Record<StatName, number> = Object.fromEntries(Object.keys(STATS).map((name) => [name, 0])) as Record<
    StatName,
    number
  >;
  readonly refusals: Partial<Record<Refusal, number>> = {};

  refused(why: Refusal, what: 'notStored' | 'writesNotStored' = 'notStored'): void {
    this.values[what] += 1;
    this.refusals[why] = (this.refusals[why] ?? 0) + 1;
  }
}
