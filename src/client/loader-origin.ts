import type { Evidence } from '../protocol/fill.ts';
import type { KeyParams, Loaded, LoadRequest, Origin } from './origin.ts';

/**
 * An application's loader: the value, or null for what does not exist. Its query begins when it is called, outside any open transaction, through no
 * memo, no other cache and, where `reads: "primary"` is declared, no replica.
 */
export type Load<T, P> = (params: P, request: { readonly signal: AbortSignal }) => Promise<T | null> | T | null;

const PRIMARY: Evidence = { kind: 'primary' };
const NOTHING: Evidence = { kind: 'none' };

/** What a loader says of where it reads is its declaration: nothing can be proved. */
export class LoaderOrigin implements Origin {
  readonly #load: Load<unknown, KeyParams>;
  readonly #evidence: Evidence;

  constructor(load: Load<unknown, KeyParams>, reads: 'primary' | undefined) {
    this.#load = load;
    this.#evidence = reads === 'primary' ? PRIMARY : NOTHING;
  }

  async load(params: KeyParams, { signal }: LoadRequest): Promise<Loaded> {
    return { value: await this.#load(params, { signal }), evidence: this.#evidence };
  }
}
