import type { Entry } from './cache-store.ts';
import type { Told } from './told.ts';

/**
 * Values in the process's own memory, in front of Redis.
 *
 * Promise: `get` gives nothing that was invalidated more than the tier's bound ago. What `put` brings was read from Redis; the tier takes it only
 * if nothing was heard of its key or its cell since `sending` was called for the read that brought it, since reply and invalidation travel on two
 * sockets.
 */
export interface LocalTier {
  /** The value, or undefined. Null is a cached absence. Says more of it where that is asked for. */
  get(key: string, told?: Told): unknown;
  /** Called as a read of Redis is sent. What it returns goes to `put`. */
  sending(): number;
  /** `payload` as Redis holds it; null is a cached absence. */
  put(entry: Entry, payload: string | null, sending: number, times: HeldTimes): void;
  drop(key: string): void;
}

export interface HeldTimes {
  /** How long the value may be kept in memory. */
  readonly lifeMs: number;
  /** How much of its time to live is left. */
  readonly leftMs: number;
  /** When it was read at its origin, where that is known. */
  readonly readAtMs: number | undefined;
}

/**
 * What is heard of the region's Redis, in the order in which it is heard.
 *
 *     lost ──▶ proven ──▶ proven ──▶ … ──▶ lost        between two proofs: what was invalidated
 */
export interface TierNews {
  /** The key was evicted, or changed. */
  key(key: string): void;
  /** The cell's state has changed: its epoch, a mark, a rule. */
  state(cell: number): void;
  /** Everything may have changed. */
  all(): void;
  /** All that was invalidated before this moment has been told, and what is read from now on is told of. By the clock's monotonic time. */
  proven(atMs: number): void;
  /** Nothing is told any more. */
  lost(): void;
}
