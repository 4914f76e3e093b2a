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
} as const;

const USAGE = new Set(['CONFIG_INVALID', 'SETTING_INVALID', 'KEY_PARAMETER_INVALID', 'STACK_UNAVAILABLE']);

export function exitCodeOf(error: unknown): number {
  return isBusError(error) && USAGE.has(error.code) ? EXIT.usage : EXIT.failed;
}
