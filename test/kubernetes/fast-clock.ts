import { type Clock, systemClock } from '../../src/runtime/clock.ts';

/** A clock that runs faster than time, and whose wall clock may be anywhere: fifteen seconds are over in a moment. */
export class FastClock implements Clock {
  readonly #rate: number;
  readonly #wallOffsetMs: number;

  constructor(rate: number, wallOffsetMs = 0) {
    this.#rate = rate;
    this.#wallOffsetMs = wallOffsetMs;
  }

  nowMs(): number {
    return Date.now() + this.#wallOffsetMs;
  }

  monotonicMs(): number {
    return performance.now() * this.#rate;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return systemClock.sleep(ms / this.#rate, signal);
  }
}
