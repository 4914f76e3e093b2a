import type { Clock } from '../../src/runtime/clock.ts';

interface Sleeper {
  readonly atMs: number;
  readonly wake: () => void;
}

/** Time that passes when it is told to. Whoever sleeps wakes in the order of his time, with all done that the one before set off. */
export class VirtualClock implements Clock {
  #nowMs = 1_000_000;
  /** By time. There are few: a load, a wait for one. */
  readonly #sleepers: Sleeper[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  sleep(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (signal.aborted) return resolve();
      const wake = (): void => {
        const at = this.#sleepers.indexOf(sleeper);
        if (at >= 0) this.#sleepers.splice(at, 1);
        signal.removeEventListener('abort', wake);
        resolve();
      };
      const sleeper = { atMs: this.#nowMs + ms, wake };
      const next = this.#sleepers.findIndex(({ atMs }) => atMs > sleeper.atMs);
      this.#sleepers.splice(next < 0 ? this.#sleepers.length : next, 0, sleeper);
      signal.addEventListener('abort', wake, { once: true });
    });
  }

  async advanceTo(untilMs: number): Promise<void> {
    for (let first = this.#sleepers[0]; first !== undefined && first.atMs <= untilMs; first = this.#sleepers[0]) {
      this.#nowMs = Math.max(this.#nowMs, first.atMs);
      first.wake();
      await settled();
    }
    this.#nowMs = untilMs;
  }
}

/** Everything has been done that needs no time: nothing here waits for anything but promises. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
