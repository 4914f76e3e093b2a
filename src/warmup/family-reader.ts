import type { WarmedKey } from './outcome.ts';
import type { Reader } from './warmup.ts';

/** A family of the client's cache, as far as a warm-up asks it. */
export interface WarmFamily {
  warm(
    list: readonly Readonly<Record<string, string>>[],
    options: { readonly signal: AbortSignal },
  ): Promise<{ readonly keys: readonly WarmedKey[]; readonly loadMs: number }>;
}

/** `paramsOf` takes a key's text apart; undefined where it is none of the family's, which a plan has left out. */
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
    const params = keys.map((key) => {
      const one = paramsOf(key);
      if (one === undefined) throw new Error(`${key} is no key of family ${name} as the file has it.`);
      return one;
    });
    return family.warm(params, { signal });
  }
}
