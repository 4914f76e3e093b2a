import {
  BrokenCircuitError,
  CircuitState,
  circuitBreaker,
  ConsecutiveBreaker,
  type CircuitBreakerPolicy,
  handleWhen,
  type IBackoff,
} from 'cockatiel';
import { BusError, isBusError } from '../protocol/errors.ts';

/** Stops asking a Redis that has failed several times in a row, and lets one command try now and then. */
export interface Breaker {
  readonly state: 'closed' | 'open' | 'half-open';
  /** Whether all is well, so that acts may be run without it, as long as `failed` is told of each that fails. */
  readonly isQuiet: boolean;
  failed(error: unknown): void;
  /** Runs an act, or throws `REDIS_UNREACHABLE` without having tried. */
  run<T>(act: () => Promise<T>): Promise<T>;
}

export interface BreakerLimits {
  readonly breakerFailures: number;
  readonly breakerWaitMs: number;
}

/** Whether an error means that Redis is not there for us. One that says what was wrong with a command is an answer. */
export function isAway(error: unknown): boolean {
  return isBusError(error, 'REDIS_UNREACHABLE') || isBusError(error, 'REDIS_DENIED');
}

/** By cockatiel's circuit breaker. While it is closed and all is well an act is run past it: what a hit costs counts. */
export class CircuitBreaker implements Breaker {
  readonly #policy: CircuitBreakerPolicy;
  #hasFailed = false;

  constructor({ breakerFailures, breakerWaitMs }: BreakerLimits, changed: (state: Breaker['state']) => void) {
    this.#policy = circuitBreaker(handleWhen(isAway), {
      halfOpenAfter: { next: () => new Waiting(breakerWaitMs) },
      breaker: new ConsecutiveBreaker(breakerFailures),
    });
    this.#policy.onStateChange(() => changed(this.state));
  }

  get state(): Breaker['state'] {
    const { state } = this.#policy;
    return state === CircuitState.Closed ? 'closed' : state === CircuitState.HalfOpen ? 'half-open' : 'open';
  }

  get isQuiet(): boolean {
    return !this.#hasFailed && this.#policy.state === CircuitState.Closed;
  }

  run<T>(act: () => Promise<T>): Promise<T> {
    if (!this.isQuiet) return this.#guarded(act);
    return act().catch((error: unknown) => {
      this.failed(error);
      throw error;
    });
  }

  failed(error: unknown): void {
    if (isAway(error) && this.#policy.state === CircuitState.Closed) void this.#count(error);
  }

  /** Counts a failure of an act that was run past the policy. One that comes late is no answer to what the policy tries meanwhile. */
  async #count(error: unknown): Promise<void> {
    this.#hasFailed = true;
    try {
      await this.#policy.execute(async () => {
        throw error;
      });
    } catch {
      // The error itself, which its caller has.
    }
  }

  async #guarded<T>(act: () => Promise<T>): Promise<T> {
    try {
      const answer = await this.#policy.execute(act);
      if (this.#policy.state === CircuitState.Closed) this.#hasFailed = false;
      return answer;
    } catch (error) {
      if (!(error instanceof BrokenCircuitError)) throw error;
      throw new BusError('REDIS_UNREACHABLE', 'Redis is not asked: it did not answer several times in a row.', {
        cause: error,
      });
    }
  }
}

/**
 * The time that Redis is not asked. Cockatiel holds `duration` against the clock of the machine, which may jump: set back by an hour, Redis would not be
 * asked for an hour. So the duration is none, or without end, by the clock that does not.
 */
class Waiting implements IBackoff<unknown> {
  readonly #waitMs: number;
  readonly #untilMs: number;

  constructor(waitMs: number) {
    this.#waitMs = waitMs;
    this.#untilMs = performance.now() + waitMs;
  }

  get duration(): number {
    return performance.now() < this.#untilMs ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
  }

  next(): Waiting {
    return new Waiting(this.#waitMs);
  }
}
