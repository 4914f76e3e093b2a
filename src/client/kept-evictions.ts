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

/** An eviction that waits. By when it is sent the types of its key may be known that were not when it was kept. */
export interface KeptEviction {
  /** Prints the key by what is known now. Throws nothing. */
  entry(): Entry;
  /** Asks the region for what is missing to print it. Throws while Redis is away. */
  learn(): Promise<void>;
}

const SENT_AT_ONCE = 200;
const RETRY = { firstMs: 50, maxMs: 1000 };

/**
 * Evictions that could not be sent, the last of each key, until Redis is back. A key that waits here is not read from Redis. Beyond the limit
 * nothing in Redis is trusted: no value of a cell until the cell has another epoch, or until all that stood then has outlived its time.
 */
export class KeptEvictions {
  readonly #parts: KeptEvictionsParts;
  readonly #kept = new Map<string, KeptEviction>();
  #sending: Promise<void> | undefined;
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

  /** False where there are too many: it is lost. */
  keep(key: string, eviction: KeptEviction): boolean {
    const { counters, announcer, clock, keptEvictionsMax, longestLifeMs } = this.#parts;
    if (!this.#kept.has(key) && this.#kept.size >= keptEvictionsMax) {
      counters.values.evictionsLost += 1;
      this.#distrustUntilMs = clock.monotonicMs() + longestLifeMs;
      this.#distrusted.clear();
      announcer.once('evictions-lost');
      return false;
    }
    counters.values.evictionsKept += 1;
    this.#kept.delete(key);
    this.#kept.set(key, eviction);
    this.#sending ??= this.#sendAll().finally(() => (this.#sending = undefined));
    return true;
  }

  /** The types of a family's keys have become known: what waits is found by the key as readers print it now. */
  reprint(): void {
    for (const [key, eviction] of this.#kept) {
      const now = eviction.entry().key;
      if (now === key) continue;
      this.#kept.delete(key);
      this.#kept.set(now, eviction);
    }
  }

  /** Resolves when none waits any more, or none will be sent. */
  async sent(): Promise<void> {
    await this.#sending;
  }

  /** Gives up those that wait, as the cache closes, and says so: what they were to drop stands in the region until its time is over. */
  drop(): void {
    const { counters, announcer } = this.#parts;
    if (this.#kept.size === 0) return;
    counters.values.evictionsLost += this.#kept.size;
    announcer.say('evictions-dropped', { detail: `There were ${this.#kept.size}.` });
    this.#kept.clear();
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
    const { clock, random, signal, announcer } = this.#parts;
    for (let failures = 0; this.#kept.size > 0 && !signal.aborted;) {
      if (await this.#sendSome()) {
        failures = 0;
        if (this.#kept.size === 0) announcer.say('evictions-sent');
      } else {
        await clock.sleep(backoffMs(failures, RETRY, random), signal);
        failures += 1;
      }
    }
  }

  /** Cell by cell, since one master of a cluster may be away alone; what it does not take goes behind the others. Whether anything was sent. */
  async #sendSome(): Promise<boolean> {
    const some = [...this.#kept.values()].slice(0, SENT_AT_ONCE);
    let isAnySent = false;
    for (const group of Map.groupBy(some, (eviction) => eviction.entry().cell).values()) {
      const isSent = await this.#send(group);
      isAnySent ||= isSent;
      for (const eviction of group) {
        const { key } = eviction.entry();
        // One that was kept anew meanwhile is sent anew.
        if (this.#kept.get(key) !== eviction) continue;
        this.#kept.delete(key);
        if (!isSent) this.#kept.set(key, eviction);
      }
    }
    return isAnySent;
  }

  async #send(group: readonly KeptEviction[]): Promise<boolean> {
    try {
      for (const eviction of group) await eviction.learn();
      await this.#parts.send(group.map((eviction) => eviction.entry()));
      return true;
    } catch {
      return false;
    }
  }
}
