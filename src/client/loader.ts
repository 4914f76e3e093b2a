import { BusError } from '../protocol/errors.ts';
import type { ReadToken } from '../protocol/read-token.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Announcer } from './events.ts';
import type { Place } from './gate.ts';
import type { KeyParams, Loaded, Origin } from './origin.ts';
import type { Counters } from './stats.ts';

export interface LoaderParts {
  readonly clock: Clock;
  readonly counters: Counters;
  readonly announcer: Announcer;
  readonly loadTimeoutMs: number;
}

export interface LoadOrder {
  readonly family: string;
  readonly origin: Origin;
  readonly params: KeyParams;
  readonly token: ReadToken | undefined;
  /** When the load must have ended, by the monotonic clock: no later than its lease. */
  readonly deadlineMs: number;
  /** Aborted when nobody waits any more. */
  readonly signal: AbortSignal;
  readonly place: Place;
}

/** Runs an origin's load, with a deadline. */
export class Loader {
  readonly #parts: LoaderParts;

  constructor(parts: LoaderParts) {
    this.#parts = parts;
  }

  /**
   * Throws the origin's own error, `CACHE_LOAD_TIMEOUT`, or the reason of the abort. The place is given back when the origin has really ended:
   * one that ignores its signal still keeps the database busy. It cannot store any more, since its lease is over.
   */
  async load(order: LoadOrder): Promise<Loaded> {
    const { counters } = this.#parts;
    const ended = new AbortController();
    const stop = new AbortController();
    const leave = (): void => stop.abort(order.signal.reason);
    counters.values.loads += 1;
    order.signal.addEventListener('abort', leave, { once: true });
    const { token } = order;
    const loading = started(() =>
      order.origin.load(order.params, { signal: stop.signal, ...(token === undefined ? {} : { token }) }),
    );
    void this.#holdPlace(loading, order, ended);
    try {
      return await new Promise<Loaded>((resolve, reject) => {
        loading.then(resolve, reject);
        stop.signal.addEventListener('abort', () => reject(stop.signal.reason), { once: true });
        void this.#stopLate(order, stop, ended.signal);
      });
    } catch (error) {
      if (!order.signal.aborted) counters.values.loadFailures += 1;
      throw error;
    } finally {
      order.signal.removeEventListener('abort', leave);
    }
  }

  async #stopLate({ family, deadlineMs }: LoadOrder, stop: AbortController, ended: AbortSignal): Promise<void> {
    const { clock, counters, loadTimeoutMs } = this.#parts;
    await clock.sleep(Math.max(0, deadlineMs - clock.monotonicMs()), ended);
    if (ended.aborted || stop.signal.aborted) return;
    counters.values.loadTimeouts += 1;
    stop.abort(new BusError('CACHE_LOAD_TIMEOUT', `A load of family ${family} took longer than ${loadTimeoutMs} ms.`));
  }

  /** A load that never ends gives its place back too, after its time has passed once more: else a few of them would close the gate for good. */
  async #holdPlace(loading: Promise<unknown>, { place, family, deadlineMs }: LoadOrder, ended: AbortController) {
    const { clock, announcer, loadTimeoutMs } = this.#parts;
    const settled = loading.then(
      () => true,
      () => true,
    );
    const leftMs = Math.max(0, deadlineMs - clock.monotonicMs()) + loadTimeoutMs;
    const hasEnded = await Promise.race([settled, clock.sleep(leftMs, ended.signal).then(() => false)]);
    ended.abort();
    if (!hasEnded) announcer.say('load-abandoned', { family });
    place.leave();
  }
}

/** What is thrown before the first await is a rejection like any other. */
async function started(load: () => Promise<Loaded>): Promise<Loaded> {
  return load();
}
