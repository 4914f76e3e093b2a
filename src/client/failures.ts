import { LRUCache } from 'lru-cache';
import type { Clock } from '../runtime/clock.ts';

/** Keys whose last failure is remembered, at most. */
const FAILURES_MAX = 10_000;

/** Remembers for a moment that a load failed, so that a loader that is down is not asked by every reader. */
export class Failures {
  readonly #memoryMs: number;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #failures = new LRUCache<string, { readonly error: unknown; readonly untilMs: number }>({
    max: FAILURES_MAX,
  });

  constructor(memoryMs: number, clock: Clock, random: () => number) {
    this.#memoryMs = memoryMs;
    this.#clock = clock;
    this.#random = random;
  }

  /** Not to the same millisecond in every process, so that they do not come back together. */
  remember(key: string, error: unknown): void {
    if (this.#memoryMs === 0) return;
    const ms = this.#memoryMs * (0.5 + this.#random() / 2);
    this.#failures.set(key, { error, untilMs: this.#clock.monotonicMs() + ms });
  }

  of(key: string): { readonly error: unknown } | undefined {
    if (this.#failures.size === 0) return undefined;
    const failure = this.#failures.get(key);
    if (failure === undefined || this.#clock.monotonicMs() < failure.untilMs) return failure;
    this.#failures.delete(key);
    return undefined;
  }

  forget(key: string): void {
    this.#failures.delete(key);
  }
}
