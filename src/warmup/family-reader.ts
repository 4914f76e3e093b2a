import { BusError } from '../protocol/errors.ts';
import type { WarmedKey } from './outcome.ts';
import type { Reader } from './warmup.ts';

/** A family of the client's cache, as far as a warm-up asks it. */
export interface WarmFamily {
  warm(
    list: readonly Readonly<Record<string, string>>[],
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly keys: readonly WarmedKey[]; readonly loadMs: number }>;
}

/** `paramsOf` takes a key's text apart; undefined where it is none of the family's any more. */
export interface OpenedFamily {
  readonly family: WarmFamily;
  readonly paramsOf: (key: string) => Readonly<Record<string, string>> | undefined;
}

/** Reads keys as they were published by the client's cache. */
export class FamilyReader implements Reader {
  readonly #families: (name: string) => OpenedFamily;

  constructor(families: (name: string) => OpenedFamily) {
    this.#families = families;
  }

  async warm(
    name: string,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly keys: readonly WarmedKey[]; readonly loadMs: number }> {
    const { family, paramsOf } = this.#families(name);
    const params = keys.map(paramsOf);
    const warmed = await family.warm(
      params.filter((one) => one !== undefined),
      { signal },
    );
    let at = 0;
    return {
      keys: params.map((one, i) => (one === undefined ? strange(name, keys[i] ?? '') : (warmed.keys[at++] ?? CROSSED))),
      loadMs: warmed.loadMs,
    };
  }
}

const CROSSED: WarmedKey = { kind: 'unstored', why: undefined };

/** The file has another template than when the key was read. */
function strange(family: string, key: string): WarmedKey {
  return {
    kind: 'failed',
    error: new BusError('KEY_PARAMETER_INVALID', `${key} is no key of family ${family} as the file has it.`),
  };
}
