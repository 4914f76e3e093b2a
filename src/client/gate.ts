import { BusError } from '../protocol/errors.ts';
import type { Clock } from '../runtime/clock.ts';

/** A place among the loads under way. */
export interface Place {
  /** Gives the place back, once. */
  leave(): void;
}

export interface Entrance {
  /** A place, as soon as there is one. */
  enter(signal: AbortSignal): Promise<Place>;
}

export interface GateLimits {
  readonly loadQueueMax: number;
  /** Infinite: whoever waits waits. */
  readonly loadQueueWaitMs: number;
}

interface Waiting {
  readonly enter: (place: Place) => void;
  readonly fail: (error: unknown) => void;
}

/** Lets so many loads through at a time, and keeps a bounded queue before it. What the database has to bear is decided here. */
export class LoadGate implements Entrance {
  readonly #limits: GateLimits;
  readonly #limit: () => number;
  readonly #clock: Clock;
  /** In the order in which they came; whoever gives up leaves at once. */
  readonly #queue = new Set<Waiting>();
  #inside = 0;

  constructor(limits: GateLimits, limit: () => number, clock: Clock) {
    this.#limits = limits;
    this.#limit = limit;
    this.#clock = clock;
  }

  get limit(): number {
    return this.#limit();
  }

  get inside(): number {
    return this.#inside;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  /** A place, if there is one and nobody waits for it. */
  tryEnter(): Place | undefined {
    return this.#queue.size === 0 && this.#inside < this.#limit() ? this.#take() : undefined;
  }

  /** A place, as soon as there is one. Throws `CACHE_OVERLOADED` where too many wait, or for too long; the signal's reason at abort. */
  async enter(signal: AbortSignal): Promise<Place> {
    signal.throwIfAborted();
    const place = this.tryEnter();
    if (place !== undefined) return place;
    if (this.#queue.size >= this.#limits.loadQueueMax) throw this.#overloaded('as many wait as may');
    return this.#wait(signal);
  }

  /** Looks again: the limit may have been raised. */
  pump(): void {
    for (const next of this.#queue) {
      if (this.#inside >= this.#limit()) return;
      this.#queue.delete(next);
      next.enter(this.#take());
    }
  }

  async #wait(signal: AbortSignal): Promise<Place> {
    const over = new AbortController();
    try {
      return await new Promise<Place>((resolve, reject) => {
        const waiting: Waiting = { enter: resolve, fail: reject };
        this.#queue.add(waiting);
        const giveUp = (error: unknown): void => {
          if (this.#queue.delete(waiting)) waiting.fail(error);
        };
        signal.addEventListener('abort', () => giveUp(signal.reason), { once: true, signal: over.signal });
        const { loadQueueWaitMs } = this.#limits;
        if (!Number.isFinite(loadQueueWaitMs)) return;
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
      `No place for a load: ${this.#inside} are under way, ${this.#queue.size} wait, and ${why}.`,
    );
  }
}
