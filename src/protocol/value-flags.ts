/**
 * What a value's header says of it beside its stamp: letters with their numbers, with a comma between them.
 *
 *     d<ms>   how long its load took
 *     t<s>    when that began: Unix time, by the clock of the process that loaded, in whole seconds
 *     v<n>    the version of its shape, where that is not 0
 *
 * What is not known here is passed over: a newer release may say more.
 */
export interface ValueFlags {
  /** Undefined where it was not said. */
  readonly loadMs?: number | undefined;
  /** Unix time in milliseconds, down to whole seconds. Undefined where it was not said, as by a release before. */
  readonly readAtMs?: number | undefined;
  readonly version?: number | undefined;
}

const NOTHING = '-';

export function printFlags({ loadMs, readAtMs, version = 0 }: ValueFlags): string {
  const flags = [
    loadMs === undefined ? [] : `d${loadMs}`,
    readAtMs === undefined ? [] : `t${Math.floor(readAtMs / 1000)}`,
    version === 0 ? [] : `v${version}`,
  ].flat();
  return flags.length === 0 ? NOTHING : flags.join(',');
}

/** More are no exact number. */
const DIGITS_MAX = 15;
const COMMA = 44;
const ZERO = 48;

/** Each hit brings flags: read by hand, they cost a twentieth of a microsecond, split and matched some tenths. */
export function parseFlags(text: string): ValueFlags {
  if (text === NOTHING) return NO_FLAGS;
  const flags = { loadMs: undefined as number | undefined, readAtMs: undefined as number | undefined, version: 0 };
  for (let from = 0; from < text.length;) {
    let number = 0;
    let at = text.charCodeAt(from) === COMMA ? from : from + 1;
    for (; at < text.length && text.charCodeAt(at) !== COMMA; at++) {
      const digit = text.charCodeAt(at) - ZERO;
      number = digit >= 0 && digit <= 9 && at - from <= DIGITS_MAX ? number * 10 + digit : Number.NaN;
    }
    if (at > from + 1 && !Number.isNaN(number)) note(flags, text[from], number);
    from = at + 1;
  }
  return flags;
}

function note(flags: { -readonly [N in keyof ValueFlags]: ValueFlags[N] }, letter: string | undefined, number: number) {
  if (letter === 't') flags.readAtMs = number * 1000;
  else if (letter === 'd') flags.loadMs = number;
  else if (letter === 'v') flags.version = number;
}

const NO_FLAGS: ValueFlags = { loadMs: undefined, readAtMs: undefined, version: 0 };
