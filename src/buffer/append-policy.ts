import type { AppendAnswer } from './buffer-log.ts';

export type WhenFull = 'block' | 'shed' | 'write-through';

/**
 *   done     the callers are told that it is buffered
 *   again    the same entry once more, after a pause
 *   shed     the callers are told that it was not taken
 *   direct   it is written to Postgres by this process
 */
export type AppendStep = 'done' | 'again' | 'shed' | 'direct';

/**
 * What comes after an answer. An entry that may have landed (`mayHaveLanded`) must land: its callers can no longer be told that it was not taken,
 * and written by another way it would count twice.
 */
export function stepAfter(
  answer: AppendAnswer['kind'],
  mayHaveLanded: boolean,
  whenFull: WhenFull,
  isLate: boolean,
): AppendStep {
  if (answer === 'appended') return 'done';
  if (mayHaveLanded || answer === 'unknown') return 'again';
  if (answer === 'refused') return 'shed';
  if (whenFull === 'block') return isLate ? 'shed' : 'again';
  return whenFull === 'shed' ? 'shed' : 'direct';
}
