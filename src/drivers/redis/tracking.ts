import { backoffMs } from '../../runtime/backoff.ts';
import { systemClock } from '../../runtime/clock.ts';
import { redisError } from './connection.ts';
import { type TrackingParts, TrackingSession } from './tracking-session.ts';

const AGAIN = { firstMs: 50, maxMs: 1000 };

export interface TrackingOwner {
  /** The reading connection does not answer. */
  readonly renew: () => void;
  /** Redis refuses, for a reason that does not pass by itself. */
  readonly refused: (error: Error) => void;
}

/** Keeps a tier told: one session after another, until it is closed. */
export class Tracking {
  readonly #parts: TrackingParts;
  readonly #owner: TrackingOwner;
  readonly #closing = new AbortController();
  readonly #run: Promise<void>;

  constructor(parts: TrackingParts, owner: TrackingOwner) {
    this.#parts = parts;
    this.#owner = owner;
    this.#run = this.#live();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#run;
  }

  async #live(): Promise<void> {
    const { signal } = this.#closing;
    let isRefused = false;
    for (let failures = 0; !signal.aborted;) {
      const session = new TrackingSession(this.#parts);
      try {
        await session.live(signal);
      } catch (error) {
        if (signal.aborted) return;
        const coded = redisError(error, 'CLIENT TRACKING');
        if (session.hasProven) isRefused = false;
        if (coded.code !== 'REDIS_UNREACHABLE' && !isRefused) {
          isRefused = true;
          this.#owner.refused(coded);
        }
        if (session.isReadingSilent) this.#owner.renew();
      }
      failures = session.hasProven ? 0 : failures + 1;
      await systemClock.sleep(backoffMs(failures, AGAIN, Math.random), signal);
    }
  }
}
