import type { Invalidation } from './invalidation.ts';
import type { Lsn } from './lsn.ts';
import type { SourceEpoch } from './source-epoch.ts';

/** Place of a record in its partition: whole, counted from 0 by the log itself. Safe as a number for 2^53 records. */
export type Offset = number;

/**
 * One record of the log. It completes the interval `[from, to)` of its partition: every item with a commit LSN in it is in this
 * record or an earlier one. A transaction that spans records ends in the interval of the last one.
 */
export interface LogRecord {
  readonly bus: string;
  readonly sourceEpoch: SourceEpoch;
  /** Bounds are end LSNs, so that `commitLsn < bound` is the one comparison. */
  readonly from: Lsn;
  readonly to: Lsn;
  /** The highest commit LSN of any item that this relay has put into this partition so far, this record included. */
  readonly sentThrough: Lsn;
  /**
   * Present where earlier records of this relay hold items at or above `from`, of a transaction that was not complete yet: it goes on behind them.
   * Rows of an open transaction travel in records whose intervals are empty, so that one which the log has lost leaves no hole in the chain.
   */
  readonly after?: ReachedItem;
  /** The settled mark of the primary (an end LSN), as of this record. */
  readonly settledPrimary: Lsn;
  /** A time of Postgres such that whatever was committed before it is below `to`, Unix time in milliseconds; 0 where none is known. Staleness is measured from it. */
  readonly asOfMs: number;
  readonly transactions: readonly TransactionItems[];
  /** Present at the relay's start, on each change, and every few seconds. */
  readonly rules?: RulesNotice;
}

/** How far a transaction has been sent to a partition: the ordinal of the item that comes next. */
export interface ReachedItem {
  readonly commitLsn: Lsn;
  readonly next: number;
}

export interface TransactionItems {
  readonly commitLsn: Lsn;
  /** The commit's time by the clock of Postgres, Unix time in milliseconds (microseconds are kept as a fraction). */
  readonly committedAtMs: number;
  /** The place of the first item among the transaction's items in this partition, from 0. With source epoch and commit LSN, the event's identity. */
  readonly ordinal: number;
  readonly items: readonly Invalidation[];
}

/**
 * The rules by which the relay makes invalidations, of every family of its file: what is not named is not invalidated. A client stores a family
 * only while its own hash is the recorded one.
 */
export interface RulesNotice {
  readonly partitions: number;
  readonly bucketsPerCell: number;
  readonly families: Readonly<Record<string, string>>;
}

/** Invalidations in a record, at most; about this many share the fixed cost of a record. */
export const RECORD_ITEMS_MAX = 50;
