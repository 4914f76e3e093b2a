import type { BusError } from '../protocol/errors.ts';
import { type BackoffLimits, backoffMs } from '../runtime/backoff.ts';

const BACKOFF: BackoffLimits = { firstMs: 500, maxMs: 30_000 };

interface Failure {
  readonly times: number;
  readonly triedMs: number;
  readonly dueMs: number;
  readonly error: BusError;
}

/** How long each thing that has failed is left alone: by itself, so that it keeps nothing else waiting. */
export class ActBackoff {
  readonly #random: () => number;
  readonly #failures = new Map<string, Failure>();

  constructor(random: () => number) {
    this.#random = random;
  }

  /**
   * Of all that there is to do, what may be tried now: first what has not failed, then what was tried longest ago. So what fails each time never
   * comes before the rest, where not all can be tried. What there is no more to do is forgotten.
   */
  due<T>(items: readonly T[], subjectOf: (item: T) => string, nowMs: number): T[] {
    const subjects = new Set(items.map(subjectOf));
    for (const subject of this.#failures.keys()) if (!subjects.has(subject)) this.#failures.delete(subject);
    const failureOf = (item: T): Failure | undefined => this.#failures.get(subjectOf(item));
    const triedMs = (item: T): number => failureOf(item)?.triedMs ?? Number.MIN_SAFE_INTEGER;
    return items
      .filter((item) => (failureOf(item)?.dueMs ?? nowMs) <= nowMs)
      .toSorted((one, other) => triedMs(one) - triedMs(other));
  }

  failed(subject: string, error: BusError, nowMs: number): void {
    const times = this.#failures.get(subject)?.times ?? 0;
    const dueMs = nowMs + backoffMs(times, BACKOFF, this.#random);
    this.#failures.set(subject, { times: times + 1, triedMs: nowMs, dueMs, error });
  }

  passed(subject: string): void {
    this.#failures.delete(subject);
  }

  /** Why something is left undone; undefined: nothing is. */
  get failure(): BusError | undefined {
    return [...this.#failures.values()][0]?.error;
  }

  /** When the next of them may be tried. */
  get dueMs(): number {
    return Math.min(...[...this.#failures.values()].map(({ dueMs }) => dueMs));
  }
}
