import type { Clock } from '../runtime/clock.ts';
import type { OwedRefresh } from './region-store.ts';

/** For so long an owed refresh waits for a process that has its loader: what is wanted has been loaded by its readers then. */
export const LEFT_MAX_MS = 600_000;
/** A worker that is there has begun by then. */
export const LEFT_CROWDING_MS = 60_000;
/** Half of what a cell may owe (apply.lua): without a worker one family would keep all others from being owed anything. */
export const LEFT_KEYS_MAX = 5000;

interface Seen {
  readonly owed: OwedRefresh;
  readonly sinceMs: number;
  look: number;
}

/** What a cell owes and its owner does not load itself: it waits for a worker, or for nobody, as that of a family that has left the file. */
export class LeftRefreshes {
  readonly #clock: Pick<Clock, 'monotonicMs'>;
  readonly #left: (family: string, keys: number) => void;
  /** Those that have waited longest come first. */
  readonly #seen = new Map<string, Seen>();
  #look = 0;

  constructor(clock: Pick<Clock, 'monotonicMs'>, left: (family: string, keys: number) => void) {
    this.#clock = clock;
    this.#left = left;
  }

  get size(): number {
    return this.#seen.size;
  }

  see(owed: OwedRefresh): void {
    const known = this.#seen.get(owed.key);
    if (known?.owed.change === owed.change) {
      known.look = this.#look;
      return;
    }
    this.#seen.delete(owed.key);
    this.#seen.set(owed.key, { owed, sinceMs: this.#clock.monotonicMs(), look: this.#look });
  }

  /** At the end of a look: what it did not see is done, and what has waited too long is given up. */
  async giveUp(clear: (owed: OwedRefresh) => Promise<void>): Promise<void> {
    for (const [key, { look }] of this.#seen) if (look !== this.#look) this.#seen.delete(key);
    this.#look += 1;
    const nowMs = this.#clock.monotonicMs();
    const given = new Map<string, number>();
    for (const [key, { owed, sinceMs }] of this.#seen) {
      const waitMs = this.#seen.size > LEFT_KEYS_MAX ? LEFT_CROWDING_MS : LEFT_MAX_MS;
      if (nowMs - sinceMs < waitMs) break;
      await clear(owed);
      this.#seen.delete(key);
      given.set(owed.family, (given.get(owed.family) ?? 0) + 1);
    }
    for (const [family, keys] of given) this.#left(family, keys);
  }
}
