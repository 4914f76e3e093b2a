import type { Clock } from '../runtime/clock.ts';
import type { Announcer } from './events.ts';
import type { Failures } from './failures.ts';
import type { Flights } from './flights.ts';
import type { LoadGate } from './gate.ts';
import type { GuardedStore } from './guarded-store.ts';
import type { HotKeys } from './hot-keys.ts';
import type { KeptEvictions } from './kept-evictions.ts';
import type { LastValues } from './last-values.ts';
import type { LeaseEnds } from './lease-ends.ts';
import type { Loader } from './loader.ts';
import type { Ongoing } from './ongoing.ts';
import type { CacheLimits } from './options.ts';
import type { Counters } from './stats.ts';
import type { LocalTier } from './tier.ts';

/** What all families of a cache share. */
export interface CacheCore {
  readonly limits: CacheLimits;
  readonly cells: number;
  readonly store: GuardedStore;
  readonly leaseEnds: LeaseEnds;
  readonly clock: Clock;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** A lease token, never used twice: letters and digits. */
  readonly newToken: () => string;
  readonly counters: Counters;
  readonly announcer: Announcer;
  readonly gate: LoadGate;
  readonly flights: Flights;
  /** What a drain waits for. */
  readonly ongoing: Ongoing;
  readonly failures: Failures;
  readonly lastValues: LastValues;
  readonly kept: KeptEvictions;
  readonly loader: Loader;
  readonly tier: LocalTier | undefined;
  /** Undefined where reads are not counted. */
  readonly hotKeys: HotKeys | undefined;
  /** Aborted as the cache closes for good; its reason is `CACHE_CLOSED`. */
  readonly closing: AbortSignal;
  readonly isClosed: () => boolean;
}
