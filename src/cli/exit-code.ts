import { isBusError } from '../protocol/errors.ts';

/**
 * What a command's exit says; docs/OPERATING.md repeats this table. A demo that a signal ended exits with 128 and the signal's number, as
 * a shell counts: 130 after Ctrl-C.
 */
export const EXIT = {
  ok: 0,
  /** It ran, and something is wrong: a check failed, an eviction was missed, a service ended. */
  failed: 1,
  /** It could not run: usage, settings, the file, or something that it needs is missing. */
  usage: 2,
  /** A task that would end so each time: to start it again is of no use until a person acts. */
  never: 42,
  /** What a task acted for is there no more, and another one has begun. */
  moved: 43,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

const USAGE = new Set(['CONFIG_INVALID', 'SETTING_INVALID', 'KEY_PARAMETER_INVALID', 'STACK_UNAVAILABLE']);

export function exitCodeOf(error: unknown): number {
  return isBusError(error) && USAGE.has(error.code) ? EXIT.usage : EXIT.failed;
}
