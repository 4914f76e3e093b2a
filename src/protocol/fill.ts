import { LSN_ZERO, type Lsn, lsnMax } from './lsn.ts';
import type { SettledMark } from './settled-mark.ts';

/**
 * The safe fill. A reader that misses takes a lease and reads, in the same step, what its key is fenced by; loads; and stores in one step
 * that compares.
 *
 *     lease + reading ──▶ load ──▶ store, if the lease still stands
 *           │               │
 *           │               └ began after the reading, from a source of reads that has seen every fenced commit:
 *           │                 settled there when it was READ, or proved by the load
 *           └ an invalidation after it voids the lease, or raises a mark above the position that was read
 *
 * An invalidation before the lease is in the reading. If it was settled then, any later read sees it; if not, only a proof will do.
 */
export interface LeaseReading {
  readonly epoch: string;
  /** The offset of the cell's last applied record: the stamp of what is stored. */
  readonly offset: number;
  /** The timeline of the cell's source epoch. */
  readonly timeline: number;
  /** The LSN up to which events may have been lost: an entry for every key. */
  readonly floor: Lsn;
  /** The highest commit LSN that fences the key: its own entries, and what the bucket has folded. */
  readonly fenced: Lsn;
  /** The highest commit LSN of entries that were dropped as settled everywhere. A proof must reach it too. */
  readonly droppedLsn: Lsn;
  readonly settledPrimary: SettledMark;
  readonly settledReplica: SettledMark;
}

/** What is known of where a load read. */
export type Evidence =
  /** The primary: declared by the family's loader, or shown by the load, with its timeline. */
  | { readonly kind: 'primary'; readonly timeline?: number }
  /** A replica that had replayed `replayedLsn` in an earlier statement of the session that then read the rows. */
  | { readonly kind: 'replica'; readonly timeline: number; readonly replayedLsn: Lsn }
  /** Nothing: what was loaded is returned, never stored. */
  | { readonly kind: 'none' };

export type FillVerdict =
  /** Marks of the value's family and tags must have an LSN below `bound`. */
  { readonly kind: 'store'; readonly bound: Lsn } | { readonly kind: 'refuse'; readonly why: RefuseReason };

export type RefuseReason = 'unproven' | 'unsettled' | 'timeline' | 'replica behind';

/** Decides whether what was loaded may be stored by a reading. */
export function judgeFill(reading: LeaseReading, evidence: Evidence): FillVerdict {
  if (evidence.kind === 'none') return { kind: 'refuse', why: 'unproven' };
  // A pool may still hold a server of another history.
  if (evidence.timeline !== undefined && evidence.timeline !== reading.timeline)
    return { kind: 'refuse', why: 'timeline' };
  if (evidence.kind === 'primary') {
    const bound = boundOf(reading.settledPrimary, reading.timeline);
    return fenceOf(reading) < bound ? { kind: 'store', bound } : { kind: 'refuse', why: 'unsettled' };
  }
  const needed = lsnMax(fenceOf(reading), reading.droppedLsn);
  const { replayedLsn } = evidence;
  // A replica that came back from a crash, or that nobody has listed, may be below what those listed once showed. Where any is listed the settled mark is above
  // all that was dropped, so that it alone would do; the dropped entries alone would do always.
  const isReached = replayedLsn > needed && replayedLsn >= boundOf(reading.settledReplica, reading.timeline);
  return isReached ? { kind: 'store', bound: replayedLsn } : { kind: 'refuse', why: 'replica behind' };
}

/** Whether a read of the primary that begins now sees everything that the key is fenced by. Until then the lease's holder reads again. */
export function isSettledOnPrimary(reading: LeaseReading): boolean {
  return fenceOf(reading) < boundOf(reading.settledPrimary, reading.timeline);
}

function fenceOf(reading: LeaseReading): Lsn {
  return lsnMax(reading.floor, reading.fenced);
}

/** A settled mark of another timeline says nothing. */
function boundOf(mark: SettledMark, timeline: number): Lsn {
  return mark.timeline === timeline ? mark.lsn : LSN_ZERO;
}
