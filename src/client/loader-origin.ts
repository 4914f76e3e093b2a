import { BusError } from '../protocol/errors.ts';
import type { Evidence } from '../protocol/fill.ts';
import type { KeyLoad, KeyParams, Loaded, LoadManyOrigin, LoadRequest, Origin } from './origin.ts';

/**
 * An application's loader: the value, or null for what does not exist. Its query begins when it is called, outside any open transaction, through no
 * memo, no other cache and, where `reads: "primary"` is declared, no replica.
 */
export type Load<T, P> = (params: P, request: { readonly signal: AbortSignal }) => Promise<T | null> | T | null;

/** Many keys by one call: the value of each, or null for what does not exist, in the order of `list`. What is said of `Load` holds here too. */
export type LoadMany<T, P> = (
  list: readonly P[],
  request: { readonly signal: AbortSignal },
) => Promise<readonly (T | null)[]> | readonly (T | null)[];

/** One of the two at least. */
export interface Loaders<T, P> {
  readonly load?: Load<T, P>;
  readonly loadMany?: LoadMany<T, P>;
}

const PRIMARY: Evidence = { kind: 'primary' };
const NOTHING: Evidence = { kind: 'none' };

/** What a loader says of where it reads is its declaration: nothing can be proved. */
export class LoaderOrigin implements Origin {
  readonly many: LoadManyOrigin | undefined;
  readonly #loaders: Loaders<unknown, KeyParams>;
  readonly #evidence: Evidence;

  constructor(family: string, loaders: Loaders<unknown, KeyParams>, reads: 'primary' | undefined) {
    const { loadMany } = loaders;
    this.#loaders = loaders;
    this.#evidence = reads === 'primary' ? PRIMARY : NOTHING;
    if (loadMany !== undefined)
      this.many = {
        loadMany: async (list, { signal }) =>
          checked(family, list.length, await loadMany(list, { signal })).map((value): KeyLoad => ({
            kind: 'loaded',
            loaded: { value, evidence: this.#evidence },
          })),
      };
  }

  async load(params: KeyParams, { signal }: LoadRequest): Promise<Loaded> {
    const { load, loadMany } = this.#loaders;
    const value = load === undefined ? (await loadMany?.([params], { signal }))?.[0] : await load(params, { signal });
    return { value, evidence: this.#evidence };
  }
}

/** By position: one more or less, and every value might stand under another's key. */
function checked(family: string, keys: number, values: unknown): readonly unknown[] {
  if (Array.isArray(values) && values.length === keys) return values;
  const found = Array.isArray(values) ? `${values.length} values` : typeof values;
  throw new BusError(
    'CACHE_VALUE_INVALID',
    `loadMany of family ${family} returned ${found} for ${keys} keys: a value or null for each is expected, in their order.`,
  );
}
