/** A key that is read much, as it was published. */
export interface HotKey {
  /** Without prefix, as the bus carries it. */
  readonly key: string;
  readonly readsPerSecond: number;
  /** Milliseconds of a load; 0 where that is not known. */
  readonly loadMs: number;
  /** Of its value; 0 where that is not known. */
  readonly bytes: number;
}

export interface HotFamily {
  readonly family: string;
  readonly keys: readonly HotKey[];
}

/** What a region's readers ask for most, as it stands outside of the region. */
export interface HotKeys {
  /** All that is published of a region now, in parts of any order; no key twice. */
  of(region: string): AsyncIterable<HotFamily>;
}

/** Which part of the keys this process loads, of several that warm a region together: `shard` of `of`, from 0. */
export interface Shard {
  readonly shard: number;
  readonly of: number;
}

/** The region's gate, for who acts by one epoch of it. Each call is one step; under another epoch it changes nothing. */
export interface WarmGate {
  /** Null where there is none yet. */
  read(): Promise<{ readonly epoch: string; readonly state: string } | null>;
  /** How much of the shard's reads is warm, from 0 to 1. */
  report(epoch: string, share: number, shard: Shard): Promise<'ok' | 'moved'>;
  /** The shard has reached its target; with the last of them the region is WARM. */
  warm(epoch: string, shard: Shard): Promise<'ok' | 'moved'>;
}
