import type { LeaderPermit } from './leader-permit.ts';

/** The record of a leader lease. */
export interface LeaderRecord {
  /** Empty where it was given back, or never taken. */
  readonly holder: string;
  /** How long others leave the holder alone, from when they saw the record change. */
  readonly durationMs: number;
  /** How often it has changed hands. */
  readonly transitions: number;
  /** By the holder's wall clock. Compared for being the same, never for being earlier. */
  readonly acquiredMs: number;
  readonly renewedMs: number;
}

export interface StoredRecord extends LeaderRecord {
  /** What a write must name, so that it takes place on nothing newer. */
  readonly version: string;
}

export type RecordWrite = { readonly kind: 'written'; readonly stored: StoredRecord } | { readonly kind: 'conflict' };

/**
 * Where the candidates meet: one record with optimistic locking. A call that throws may have been done nevertheless. Each throws
 * `KUBERNETES_*`; none waits for longer than `timeoutMs`.
 */
export interface LeaderRecords {
  read(timeoutMs: number): Promise<StoredRecord | undefined>;
  /** A conflict: there is one already. */
  create(record: LeaderRecord, timeoutMs: number): Promise<RecordWrite>;
  /** A conflict: it is no longer of that version. */
  update(record: StoredRecord, timeoutMs: number): Promise<RecordWrite>;
}

/** Says whether this process leads. */
export interface LeaderSeat {
  permit(): LeaderPermit | undefined;
  /**
   * Something bears a token above the term's. Either another leads by now, or the lease was deleted and counts anew: the next renewal says which, and
   * where it succeeds the term goes on under a token above that one.
   */
  outranked(token: number): void;
}
