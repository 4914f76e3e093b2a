import type { Refusal } from './stats.ts';

/** What became of a list of keys that was asked for, so that the cache has them. */
export interface Warmed {
  /** By position. */
  readonly keys: readonly WarmedKey[];
  /** What was spent in loads of many keys, in milliseconds; 0 where the family has none. */
  readonly loadMs: number;
}

export type WarmedKey =
  /** The cache had it, or another process stored it meanwhile. */
  | { readonly kind: 'hit' }
  | { readonly kind: 'stored' }
  /** It was loaded and may not be stored, or another caller of this process loaded it: then without a reason. */
  | { readonly kind: 'unstored'; readonly why: Refusal | undefined }
  | { readonly kind: 'failed'; readonly error: unknown };

export interface WarmListener {
  readonly told: (index: number, what: 'hit' | 'stored' | Refusal) => void;
  readonly took: (ms: number) => void;
}
