import { isBusError } from '../protocol/errors.ts';
import { type BackoffLimits, backoffMs } from './backoff.ts';
import type { Clock } from './clock.ts';

export interface AnsweredParts {
  readonly clock: Clock;
  readonly random: () => number;
  readonly backoff: BackoffLimits;
  readonly away: (error: unknown) => void;
}

/** Asks until there is an answer. Undefined: it was told to stop before. Throws what does not pass by itself. */
export async function untilAnswered<T>(
  ask: () => Promise<T>,
  { clock, random, backoff, away }: AnsweredParts,
  stop: AbortSignal,
): Promise<T | undefined> {
  for (let failures = 0; !stop.aborted; failures += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isBusError(error) || (error.retry !== 'retry' && error.retry !== 'reset')) throw error;
      away(error);
      await clock.sleep(backoffMs(failures, backoff, random), stop);
    }
  }
  return undefined;
}
