import type { LeaseReading } from '../protocol/fill.ts';
import type { ReadFacts } from '../protocol/hit.ts';
import type { Lsn } from '../protocol/lsn.ts';
import type { ValueFlags } from '../protocol/value-flags.ts';

/**
 * The region's Redis as readers and writers need it. Each call is one round trip and one step: it happens whole or not at all.
 *
 *     read          ──▶ nothing is changed
 *     lease         ──▶ the right to store, and what the key is fenced by, in one step
 *     leaseToWrite  ──▶ the right to store, taken from whoever has it
 *     store         ──▶ only while the lease stands and nothing was invalidated since
 *     giveUp        ──▶ the lease's end, without a value
 *
 * A call that fails may or may not have happened: a lease that was taken so ends by its time. Nothing is sent again on another connection.
 * Throws `REDIS_UNREACHABLE` (also past the deadline), `REDIS_DENIED` or `REDIS_COMMAND_FAILED`.
 */
export interface CacheStore {
  read(entry: Entry, wants: ReadWants): Promise<ReadReply>;
  /** Takes the lease, or, where the token holds it already, reads again. */
  lease(entry: Entry, request: LeaseRequest): Promise<LeaseReply>;
  /** Takes the lease before a COMMIT: every other on the key is void, and a value that may be served goes on being served. */
  leaseToWrite(entry: Entry, request: WriteLeaseRequest): Promise<WriteLeaseReply>;
  store(entry: Entry, request: StoreRequest): Promise<StoreReply>;
  giveUp(entry: Entry, token: string): Promise<void>;
  /** Drops values, and with them every lease on them. */
  evict(entries: readonly Entry[]): Promise<void>;
  /** The rule text of each family as the region has it (see rule-text.ts); empty where nothing has been published yet. */
  rules(): Promise<ReadonlyMap<string, string>>;
}

/** Where a key's value is. */
export interface Entry {
  readonly family: string;
  /** The key without prefix, as the bus carries it. */
  readonly key: string;
  readonly cell: number;
  readonly bucket: number;
  readonly hash: number;
  /** True: the value's key holds the payload alone, and what is ours stands beside it. */
  readonly isPlain: boolean;
}

export interface ReadWants {
  /** Whether the time that is left matters: for stale bounds and local tiers. */
  readonly ttl: boolean;
  /** Whether the cell's watermark is wanted: for tokens and `maxStaleness`. It is read before the value. */
  readonly watermark: boolean;
}

export interface ReadReply extends ReadFacts {
  /** The family's rule text in the region; null where none was published. */
  readonly rule: string | null;
  /** Null where it was not wanted, or the record is lost. */
  readonly watermark: CellWatermark | null;
}

export interface CellWatermark {
  readonly timeline: number;
  readonly lsn: Lsn;
  /** Whatever was committed before this time of Postgres is below the watermark. Unix time in milliseconds; 0 where it is not known. */
  readonly asOfMs: number;
}

export interface LeaseRequest {
  /** Letters and digits, never used twice. */
  readonly token: string;
  readonly leaseMs: number;
  /** The rule text by which the caller would store. */
  readonly rule: string;
  /** A value whose time is below this may be reloaded; 0 for none. */
  readonly staleMs: number;
  /** The id of a value that is read while its time lasts: over that one, and no other, the lease is taken all the same, and it goes on being served. */
  readonly early?: string;
  /** Of the value's shape; one of another is nothing. Default 0. */
  readonly version?: number;
  /** Whether to be told of the end of another's lease. */
  readonly waits: boolean;
}

export type LeaseReply =
  | { readonly kind: 'leased'; readonly reading: LeaseReading }
  /** Another loads. */
  | { readonly kind: 'held'; readonly token: string }
  /** A value that may be served has come meanwhile: read it. */
  | { readonly kind: 'live' }
  /** The record or the state of the cell is missing: store nothing. */
  | { readonly kind: 'lost' }
  /** The region works by other rules for the family: store nothing. */
  | { readonly kind: 'rules'; readonly rule: string | null };

export type WriteLeaseRequest = Pick<LeaseRequest, 'token' | 'leaseMs' | 'rule'>;

export type WriteLeaseReply =
  /** A writer has read nothing under his lease: what fences the key is nothing to him, but the stamp is. */
  | { readonly kind: 'leased'; readonly reading: Pick<LeaseReading, 'epoch' | 'offset'> }
  | Extract<LeaseReply, { kind: 'lost' | 'rules' }>;

export interface StoreRequest {
  readonly token: string;
  /** As read with the lease. */
  readonly epoch: string;
  readonly offset: number;
  /** Marks of the family and the tags must have an LSN below it. */
  readonly bound: Lsn;
  readonly rule: string;
  readonly tagMarks: readonly number[];
  readonly ttlMs: number;
  /** A character each byte (byte-text.ts); null is a cached absence. */
  readonly payload: string | null;
  readonly id: string;
  /** As the header has them (value-flags.ts). Default none. */
  readonly flags?: ValueFlags;
}

export type StoreReply =
  | { readonly kind: 'stored' }
  /** What was compared, and differed. The lease is gone with it. */
  | { readonly kind: 'refused'; readonly why: StoreRefusal };

export type StoreRefusal = 'lease' | 'lost' | 'epoch' | 'position' | 'rules' | 'mark';
