import type { BusError } from '../protocol/errors.ts';
import type { HotBucket } from '../protocol/hot-key.ts';
import type { GateShard, GateStore, StoredGate } from '../protocol/region-gate.ts';

/** Some of the keys of a family that are read much. */
export type HotFamily = Pick<HotBucket, 'family' | 'keys'>;

/** What a region's readers ask for most, as it stands outside of the region. */
export interface HotKeys {
  /** All that is published of a region now, in parts of any order; no key twice. `skipped` is told of what cannot be read. */
  of(region: string, skipped: (error: BusError) => void): AsyncIterable<HotFamily>;
}

/** The region's gate, for who acts by one epoch of it. */
export interface WarmGate extends Pick<GateStore, 'warm' | 'report'> {
  read(): Promise<Pick<StoredGate, 'epoch' | 'state'> | null>;
}

/** Which part of the keys this process loads, of several that warm a region together. */
export type Shard = GateShard;
