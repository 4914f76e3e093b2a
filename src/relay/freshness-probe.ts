import type { Lsn } from '../protocol/lsn.ts';
import type { Clock } from '../runtime/clock.ts';
import type { AsOfTracker } from './as-of.ts';
import type { Batcher } from './batch.ts';
import type { Source, SourceLook } from './from-postgres.ts';

/** Between two looks while the stream is behind, or brings anything. */
const LOOK_EVERY_MS = 250;
/**
 * Between two looks while it does not. None at all would be right only if the stream said that it has caught up, and no message of the walsender does:
 * a keepalive that answers a ping comes in the midst of a backlog too, and the place up to which was sent stands still while a large transaction is
 * decoded. So this is how finely the staleness of an idle source is told, and what an idle database is asked for it.
 */
export const IDLE_LOOK_EVERY_MS = 1000;

export interface FreshnessParts {
  readonly source: Source;
  readonly batcher: Batcher;
  readonly asOf: AsOfTracker;
  readonly clock: Clock;
}

/** Looks at the source now and then, so that it is known as of when everything is decoded. */
export class FreshnessProbe {
  readonly #parts: FreshnessParts;

  constructor(parts: FreshnessParts) {
    this.#parts = parts;
  }

  async run(signal: AbortSignal): Promise<undefined> {
    const { source, batcher, asOf, clock } = this.#parts;
    while (!signal.aborted) {
      const before = batcher.decodedThrough;
      const look = await source.look();
      asOf.looked(look);
      // In steps, and counted: what is decoded meanwhile wakes nobody, and a timer that is early does not make it one more.
      let restedMs = 0;
      do {
        await clock.sleep(LOOK_EVERY_MS, signal);
        restedMs += LOOK_EVERY_MS;
      } while (!signal.aborted && restedMs < restAfter(look, before, batcher.decodedThrough));
    }
  }
}

/** `before` is what was decoded when the look was asked for, `byNow` what is. A log that has moved may move on. */
export function restAfter(look: SourceLook, before: Lsn, byNow: Lsn): number {
  const isQuiet = look.flushedLsn <= before && byNow === before;
  return isQuiet ? IDLE_LOOK_EVERY_MS : LOOK_EVERY_MS;
}
