import type { Row, Settings, Tiers } from './adapter.ts';

/** What the run may ask of a worker (worker.ts): the name, what goes there, and what comes back, all as JSON. */
export interface Calls {
  open: [{ peer: string; settings: Settings; tiers: Tiers; redisUrl: string; beside: unknown }, Record<string, never>];
  /** Gets each entry in turn, with a loader that answers `version` at once. */
  read: [{ entries: readonly Entry[]; version: number }, ReadResult];
  /** Begins a get of each entry, with a loader that has read `version` and does not return until `release`. Answers once all loaders hold. */
  hold: [{ entries: readonly Entry[]; version: number }, Record<string, never>];
  /** Lets all loaders return, and answers once all gets have. */
  release: [Record<string, never>, { readonly failed: number }];
  invalidateKeys: [{ keys: readonly string[] }, Record<string, never>];
  invalidateTags: [{ tags: readonly string[] }, Record<string, never>];
  /** Changes the rows without telling the library, where that is not the loader's part. */
  changeUntold: [{ keys: readonly string[] }, Record<string, never>];
  burst: [BurstOptions, BurstResult & { readonly uncaught: number }];
  measureLocalHits: [Record<string, never>, LocalHits];
  measureRedisHits: [{ redisUrl: string }, RedisHits];
  close: [Record<string, never>, Record<string, never>];
}

export interface Entry {
  readonly key: string;
  readonly tags?: readonly string[];
}

export interface ReadResult {
  readonly versions: readonly (number | null)[];
  readonly loads: number;
}

export interface BurstOptions {
  readonly keys: readonly string[];
  readonly callersPerKey: number;
  readonly loadMs: number;
  readonly isFailing: boolean;
  /** When to stop waiting for callers that have no answer. */
  readonly capMs: number;
}

export interface BurstResult {
  readonly loads: number;
  readonly concurrentLoadsMax: number;
  readonly values: number;
  /** Callers that were given undefined, and no error. */
  readonly empty: number;
  readonly rejections: number;
  /** Of the rejections, those with the very error that the loader threw. */
  readonly unchanged: number;
  readonly errorNames: readonly string[];
  /** Callers without an answer at the cap. */
  readonly pending: number;
  readonly ms: number;
}

export interface LocalHits {
  readonly hitsPerRound: number;
  /** Reads that were loads all the same, over all rounds. */
  readonly loads: number;
  readonly us: number;
  readonly lruCacheUs: number;
  readonly lruCacheAwaitedUs: number;
}

export interface RedisHits {
  readonly hitsPerRound: number;
  /** Reads that were loads all the same, over all rounds. */
  readonly loads: number;
  readonly us: number;
  readonly ioredisGetUs: number;
}

export type CallName = keyof Calls;
export type CallInput<N extends CallName> = Calls[N][0];
export type CallOutput<N extends CallName> = Calls[N][1];

export function rowOf(key: string, version: number): Row {
  return { id: key, version, name: 'a name of some length, so that the row is near 100 bytes' };
}
