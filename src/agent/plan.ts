import type { LogRecord, Offset, ReachedItem } from '../protocol/log-record.ts';
import { type Lsn, lsnBefore, lsnMax } from '../protocol/lsn.ts';
import type { SourceEpoch } from '../protocol/source-epoch.ts';

/** How far a cell has been applied. */
export interface Position {
  readonly offset: Offset;
  readonly sourceEpoch: SourceEpoch;
  readonly watermark: Lsn;
  /** The name of the cell's epoch. */
  readonly epoch?: string;
  /** The last item that was applied, of the highest commit; undefined where that is not known. */
  readonly reached?: ReachedItem;
}

export type EpochReason =
  | 'cold'
  | 'lost'
  | 'source'
  | 'offset gap'
  | 'interval gap'
  | 'before the log'
  | 'beyond the log'
  | 'unreadable'
  | 'unrelated server';

export type Verdict =
  /** Applied before: a repetition. */
  | { readonly kind: 'skip' }
  /** `interval` false: the record is of a former source epoch, sent late. Its items count, what it says of completeness does not. */
  | { readonly kind: 'apply'; readonly interval: boolean }
  /** Something is missing below this record. Read once more, then begin an epoch. */
  | { readonly kind: 'gap'; readonly reason: 'offset gap' | 'interval gap' }
  | { readonly kind: 'epoch'; readonly reason: 'source' };

/**
 * Decides what a record means for a cell at a position:
 *
 *     offset     <= stored              skip        the log repeats, or a reader was set back
 *                == stored + 1          look on
 *                >  stored + 1          gap
 *     source     higher                 epoch       what was known may have been undone
 *                lower                  items only
 *     interval   from <= watermark      apply       watermark becomes the larger of itself and `to`
 *                from >  watermark      gap         the log lost its tail, or a relay forgot
 *     after      goes on behind items that were not applied      gap
 */
export function judge(position: Position, offset: Offset, record: LogRecord): Verdict {
  if (offset <= position.offset) return { kind: 'skip' };
  if (offset > position.offset + 1) return { kind: 'gap', reason: 'offset gap' };
  const ahead = record.sourceEpoch.number - position.sourceEpoch.number;
  if (ahead > 0) return { kind: 'epoch', reason: 'source' };
  if (ahead < 0) return { kind: 'apply', interval: false };
  if (record.from > position.watermark || !goesOn(position, record)) return { kind: 'gap', reason: 'interval gap' };
  return { kind: 'apply', interval: true };
}

/** Whether a record that goes on within a transaction finds what it goes on behind. What lies below the watermark is there, whoever sent it. */
function goesOn({ watermark, reached }: Position, { after }: LogRecord): boolean {
  if (after === undefined || after.commitLsn < watermark) return true;
  return reached?.commitLsn === after.commitLsn && reached.next >= after.next;
}

/** The position after a record that `judge` lets apply. */
export function advance(position: Position, offset: Offset, record: LogRecord, interval: boolean): Position {
  if (!interval) return { ...position, offset };
  return {
    ...position,
    offset,
    sourceEpoch: record.sourceEpoch,
    watermark: lsnMax(position.watermark, record.to),
    ...reachedBy(record, position.reached),
  };
}

function reachedBy(record: LogRecord, before: ReachedItem | undefined): { readonly reached?: ReachedItem } {
  const last = record.transactions.at(-1);
  const here =
    last === undefined ? record.after : { commitLsn: last.commitLsn, next: last.ordinal + last.items.length };
  if (here === undefined || (before !== undefined && isBehind(here, before)))
    return before === undefined ? {} : { reached: before };
  return { reached: here };
}

/** A record that was sent late goes back. */
function isBehind(a: ReachedItem, b: ReachedItem): boolean {
  return a.commitLsn === b.commitLsn ? a.next < b.next : a.commitLsn < b.commitLsn;
}

/** The position, floor and watermark of a new epoch that begins with a record. */
export interface EpochStart {
  readonly position: Position;
  readonly floor: Lsn;
}

/**
 * An epoch begins with its first record in hand. Everything before it may have been lost: what ended below `from`, and what was sent of
 * a transaction that is not complete yet, whose commit LSN is at or above `from` and at most `sentThrough`. The floor fences both.
 */
export function startEpoch(offset: Offset, record: LogRecord): EpochStart {
  const reached = record.after === undefined ? {} : { reached: record.after };
  return {
    position: { offset: offset - 1, sourceEpoch: record.sourceEpoch, watermark: record.from, ...reached },
    floor: lsnMax(lsnBefore(record.from), record.sentThrough),
  };
}

/**
 * Whether an epoch may begin with a record, where the cell is known to have been in a source epoch. A late record of a former one may not:
 * its LSNs are of another history, and a floor made of them would not cover what was lost. A record of the present one follows soon.
 */
export function mayBegin(record: LogRecord, known: SourceEpoch | undefined): boolean {
  return known === undefined || record.sourceEpoch.number >= known.number;
}

/** Where a cell stands to the log, before anything is read. `first` and `next` are the log's bounds. */
export function placeInLog(
  offset: Offset,
  bounds: { readonly first: Offset; readonly next: Offset },
): 'within' | 'before the log' | 'beyond the log' {
  if (offset >= bounds.next) return 'beyond the log';
  return offset + 1 < bounds.first ? 'before the log' : 'within';
}
