import { isBusError } from '../protocol/errors.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';

/** Between two tries. A Job has a few tries only, and a pod that ended for a server that is away for a minute would use them up. */
const BACKOFF = { firstMs: 500, maxMs: 10_000 };

export interface AnsweredParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly away: (error: unknown) => void;
}

/** Asks until there is an answer. Undefined: it was told to stop before. Throws what does not pass by itself. */
export async function untilAnswered<T>(
  ask: () => Promise<T>,
  { clock, random, away }: AnsweredParts,
  stop: AbortSignal,
): Promise<T | undefined> {
  for (let failures = 0; !stop.aborted; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isBusError(error) || (error.retry !== 'retry' && error.retry !== 'reset')) throw error;
      away(error);
      await clock.sleep(backoffMs(failures, BACKOFF, random), stop);
    }
  }
  return undefined;
}
