import type { Evidence } from '../protocol/fill.ts';
import type { ReadToken } from '../protocol/read-token.ts';

/**
 * Where a family's values come from: its source query on the application's pools, or the application's own loader.
 *
 * Promise: the read begins after `load` is called, outside any transaction that is open. The evidence says where it read; what is not known is
 * not guessed. An error of the application's loader is thrown as it is.
 */
export interface Origin {
  load(params: KeyParams, request: LoadRequest): Promise<Loaded>;
  /** Where one call loads many keys. Asked at each `getMany`: it may not be known yet whether one can, or turn out that none can. */
  readonly many?: LoadManyOrigin | undefined;
}

/** An origin that loads many keys by one call: what became of each, by position. It throws what is an error of all. */
export interface LoadManyOrigin {
  loadMany(list: readonly KeyParams[], request: LoadRequest): Promise<readonly KeyLoad[]>;
}

/** One key of a load of many. */
export type KeyLoad =
  | { readonly kind: 'loaded'; readonly loaded: Loaded }
  | { readonly kind: 'failed'; readonly error: unknown };

/** The parameters of a key, by name, as the caller gave them. */
export type KeyParams = Readonly<Record<string, unknown>>;

export interface LoadRequest {
  /** Aborted at the load's deadline, and when nobody waits for it any more. */
  readonly signal: AbortSignal;
  /** What the value must have seen: a replica proves that it has, or the primary is read. */
  readonly token?: ReadToken;
}

export interface Loaded {
  /** Null is "does not exist". Never undefined. */
  readonly value: unknown;
  readonly evidence: Evidence;
}
