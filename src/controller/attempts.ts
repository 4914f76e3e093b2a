import { type BusError, type ErrorCode, isBusError } from '../protocol/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { ActBackoff } from './act-backoff.ts';

/** As a rule one object's matter, as an admission webhook's that fails or hangs; where several objects meet it, more likely the API server's. */
const SERVER_FAULTS: ReadonlySet<ErrorCode> = new Set(['KUBERNETES_FAILED', 'KUBERNETES_UNREACHABLE']);
/** Of one kind in one look: each may have been waited for. */
const SERVER_FAULTS_MAX = 2;

export interface AttemptsParts {
  readonly clock: Clock;
  readonly random: () => number;
}

/** Tries all that there is to do of one kind, whatever one of it answers: what has failed is left alone for a while, and the rest is not. */
export class Attempts<T> {
  readonly #clock: Clock;
  readonly #subjectOf: (item: T) => string;
  readonly #backoff: ActBackoff;
  #isCutShort = false;

  constructor({ clock, random }: AttemptsParts, subjectOf: (item: T) => string) {
    this.#clock = clock;
    this.#subjectOf = subjectOf;
    this.#backoff = new ActBackoff(random);
  }

  /** Tries what is due. Throws what is the matter of the whole look: `LEADERSHIP_LOST`, and `KUBERNETES_OVERLOADED`. */
  async each(items: readonly T[], attempt: (item: T) => Promise<void>): Promise<void> {
    this.#isCutShort = false;
    let faults = 0;
    for (const item of this.#backoff.due(items, this.#subjectOf, this.#clock.monotonicMs())) {
      this.#isCutShort = faults === SERVER_FAULTS_MAX;
      if (this.#isCutShort) return;
      try {
        await attempt(item);
        this.#backoff.passed(this.#subjectOf(item));
      } catch (error) {
        if (!isBusError(error) || error.code === 'LEADERSHIP_LOST') throw error;
        this.#backoff.failed(this.#subjectOf(item), error, this.#clock.monotonicMs());
        if (error.code === 'KUBERNETES_OVERLOADED') throw error;
        if (SERVER_FAULTS.has(error.code)) faults += 1;
      }
    }
  }

  /** Why something is left undone; undefined: nothing is. */
  get failure(): BusError | undefined {
    return this.#backoff.failure;
  }

  /** When there is something to try again. */
  get dueMs(): number {
    return this.#isCutShort ? Number.NEGATIVE_INFINITY : this.#backoff.dueMs;
  }
}
