/**
 * What a value's header says of it beside its stamp: letters with their numbers, with a comma between them.
 *
 *     d<ms>   how long its load took
 *     v<n>    the version of its shape, where that is not 0
 *
 * What is not known here is passed over: a newer release may say more.
 */
export interface ValueFlags {
  /** Undefined where it was not said. */
  readonly loadMs?: number | undefined;
  readonly version?: number | undefined;
}

const NOTHING = '-';

export function printFlags({ loadMs, version = 0 }: ValueFlags): string {
  const flags = [loadMs === undefined ? [] : `d${loadMs}`, version === 0 ? [] : `v${version}`].flat();
  return flags.length === 0 ? NOTHING : flags.join(',');
}

export function parseFlags(text: string): ValueFlags {
  if (text === NOTHING) return NO_FLAGS;
  let loadMs: number | undefined;
  let version = 0;
  for (const flag of text.split(',')) {
    if (!/^[dv]\d{1,15}$/.test(flag)) continue;
    if (flag.startsWith('d')) loadMs = Number(flag.slice(1));
    else version = Number(flag.slice(1));
  }
  return { loadMs, version };
}

const NO_FLAGS: ValueFlags = { loadMs: undefined, version: 0 };
