import { isBusError } from '../protocol/errors.ts';
import { type BackoffLimits, backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import type { LeaderSeat } from './leader-record.ts';
import type { ControllerObserver } from './observe.ts';
import type { WarmupJobs } from './warmup-jobs.ts';

const BACKOFF: BackoffLimits = { firstMs: 500, maxMs: 30_000 };

export interface JobWatchParts {
  readonly seat: LeaderSeat;
  readonly jobs: WarmupJobs;
  readonly observer: ControllerObserver;
  readonly clock: Clock;
  readonly random: () => number;
  /** Between two watches, and between two looks at whether there is anything to watch. */
  readonly pauseMs: number;
  /** Something has changed. */
  readonly ring: () => void;
}

/** Watches the Jobs from where the last list stood, while its controller leads. It only makes a look come sooner: it may be late, dead or wrong. */
export class JobWatch {
  readonly #parts: JobWatchParts;
  /** Where the last list stood. */
  #listVersion: string | undefined;

  constructor(parts: JobWatchParts) {
    this.#parts = parts;
  }

  listedAt(version: string): void {
    this.#listVersion = version;
  }

  async run(stop: AbortSignal): Promise<void> {
    const { seat, jobs, observer, clock, random, pauseMs, ring } = this.#parts;
    let version: string | undefined;
    for (let failures = 0; !stop.aborted;) {
      version ??= this.#listVersion;
      if (version === undefined || seat.permit() === undefined) {
        version = undefined;
        this.#listVersion = undefined;
        await clock.sleep(pauseMs, stop);
        continue;
      }
      try {
        const changed = (to: string): void => {
          version = to;
          ring();
        };
        const end = await jobs.watch(version, changed, stop);
        if (stop.aborted) return;
        observer.watchEnded(end);
        failures = 0;
        if (end === 'gone') {
          version = undefined;
          this.#listVersion = undefined;
          // A list says where to go on.
          ring();
        }
        // A server that closes at once is not asked at once.
        await clock.sleep(pauseMs, stop);
      } catch (error) {
        if (!isBusError(error)) throw error;
        observer.watchEnded('failed', error);
        // A server that was restored from a copy refuses a version of its future for as long as it is one: the last list is of now.
        version = undefined;
        await clock.sleep(Math.max(backoffMs(failures++, BACKOFF, random), error.retryAfterMs ?? 0), stop);
      }
    }
  }
}
