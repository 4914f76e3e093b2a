import type { Clock } from '../runtime/clock.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Entry } from './cache-store.ts';
import type { Announcer } from './events.ts';
import type { Counters } from './stats.ts';

export interface KeptEvictionsParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly counters: Counters;
  readonly announcer: Announcer;
  readonly keptEvictionsMax: number;
  /** The longest that a value stored before can stand: time to live, stale bound, and a load that had begun. */
  readonly longestLifeMs: number;
  /** Sends evictions. Throws while Redis is away. */
  readonly send: (entries: readonly Entry[]) => Promise<void>;
  readonly signal: AbortSignal;
}

const SENT_AT_ONCE = 200;
const RETRY = { firstMs: 50, maxMs: 1000 };

/**
 * Evictions that could not be sent, the last of each key, until Redis is back. A key that waits here is not read from Redis. Beyond the limit
 * nothing in Redis is trusted: no value of a cell until the cell has another epoch, or until all that stood then has outlived its time.
 */
export class KeptEvictions {
  readonly #parts: KeptEvictionsParts;
  /** What gives the entry when it is sent: by then the types of its key may be known that were not when it was kept. */
  readonly #kept = new Map<string, () => Entry>();
  #isSending = false;
  #distrustUntilMs = 0;
  readonly #distrusted = new Map<number, string | null>();

  constructor(parts: KeptEvictionsParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#kept.size;
  }

  has(key: string): boolean {
    return this.#kept.size > 0 && this.#kept.has(key);
  }

  keep(key: string, entry: () => Entry): void {
    const { counters, announcer, clock, keptEvictionsMax, longestLifeMs } = this.#parts;
    if (!this.#kept.has(key) && this.#kept.size >= keptEvictionsMax) {
      counters.values.evictionsLost += 1;
      this.#distrustUntilMs = clock.monotonicMs() + longestLifeMs;
      this.#distrusted.clear();
      announcer.once('evictions-lost');
      return;
    }
    counters.values.evictionsKept += 1;
    this.#kept.delete(key);
    this.#kept.set(key, entry);
    if (!this.#isSending) void this.#sendAll();
  }

  /** An eviction of the key was sent in another way. */
  sent(key: string): void {
    this.#kept.delete(key);
  }

  /** Whether a cell's values are not to be served, though Redis has them. `epoch` is the cell's, as just read. */
  distrusts(cell: number, epoch: string | null): boolean {
    if (this.#distrustUntilMs === 0) return false;
    if (this.#parts.clock.monotonicMs() >= this.#distrustUntilMs) {
      this.#distrustUntilMs = 0;
      this.#distrusted.clear();
      this.#parts.announcer.over('evictions-lost');
      return false;
    }
    if (!this.#distrusted.has(cell)) this.#distrusted.set(cell, epoch);
    return this.#distrusted.get(cell) === epoch;
  }

  async #sendAll(): Promise<void> {
    const { clock, random, signal, announcer, send } = this.#parts;
    this.#isSending = true;
    for (let failures = 0; this.#kept.size > 0 && !signal.aborted;) {
      const some = [...this.#kept].slice(0, SENT_AT_ONCE);
      try {
        await send(some.map(([, entry]) => entry()));
        failures = 0;
        // One that was kept anew meanwhile is sent anew.
        for (const [key, entry] of some) if (this.#kept.get(key) === entry) this.#kept.delete(key);
        if (this.#kept.size === 0) announcer.say('evictions-sent');
      } catch {
        await clock.sleep(backoffMs(failures, RETRY, random), signal);
        failures += 1;
      }
    }
    this.#isSending = false;
  }
}
