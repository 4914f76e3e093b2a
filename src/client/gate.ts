import { BusError } from '../protocol/errors.ts';
import type { Clock } from '../runtime/clock.ts';

/** A place among the loads under way. */
export interface Place {
  /** Gives the place back, once. */
  leave(): void;
}

export interface GateLimits {
  readonly loadQueueMax: number;
  readonly loadQueueWaitMs: number;
}

interface Waiting {
  readonly enter: (place: Place) => void;
  readonly fail: (error: unknown) => void;
  isGone: boolean;
}

/** Lets so many loads through at a time, and keeps a bounded queue before it. What the database has to bear is decided here. */
export class LoadGate {
  readonly #limits: GateLimits;
  readonly #limit: () => number;
  readonly #clock: Clock;
  readonly #queue: Waiting[] = [];
  #waiting = 0;
  #inside = 0;

  constructor(limits: GateLimits, limit: () => number, clock: Clock) {
    this.#limits = limits;
    this.#limit = limit;
    this.#clock = clock;
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** A place, if there is one and nobody waits for it. */
  tryEnter(): Place | undefined {
    return this.#waiting === 0 && this.#inside < this.#limit() ? this.#take() : undefined;
  }

  /** A place, as soon as there is one. Throws `CACHE_OVERLOADED` where too many wait, or for too long; the signal's reason at abort. */
  async enter(signal: AbortSignal): Promise<Place> {
    signal.throwIfAborted();
    const place = this.tryEnter();
    if (place !== undefined) return place;
    if (this.#waiting >= this.#limits.loadQueueMax) throw this.#overloaded('as many wait as may');
    return this.#wait(signal);
  }

  /** Looks again: the limit may have been raised. */
  pump(): void {
    while (this.#waiting > 0 && this.#inside < this.#limit()) {
      const next = this.#queue.shift();
      if (next === undefined) return;
      if (next.isGone) continue;
      this.#waiting -= 1;
      next.isGone = true;
      next.enter(this.#take());
    }
  }

  async #wait(signal: AbortSignal): Promise<Place> {
    const over = new AbortController();
    try {
      return await new Promise<Place>((resolve, reject) => {
        const waiting: Waiting = { enter: resolve, fail: reject, isGone: false };
        this.#queue.push(waiting);
        this.#waiting += 1;
        const giveUp = (error: unknown): void => {
          if (waiting.isGone) return;
          waiting.isGone = true;
          this.#waiting -= 1;
          waiting.fail(error);
        };
        signal.addEventListener('abort', () => giveUp(signal.reason), { once: true, signal: over.signal });
        const { loadQueueWaitMs } = this.#limits;
        void this.#clock
          .sleep(loadQueueWaitMs, over.signal)
          .then(() => giveUp(this.#overloaded(`none was free for ${loadQueueWaitMs} ms`)));
      });
    } finally {
      over.abort();
    }
  }

  #take(): Place {
    this.#inside += 1;
    let isLeft = false;
    return {
      leave: () => {
        if (isLeft) return;
        isLeft = true;
        this.#inside -= 1;
        this.pump();
      },
    };
  }

  #overloaded(why: string): BusError {
    return new BusError(
      'CACHE_OVERLOADED',
      `No place for a load: ${this.#inside} are under way, ${this.#waiting} wait, and ${why}.`,
    );
  }
}
