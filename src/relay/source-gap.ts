import type { LogRecord } from '../protocol/log-record.ts';
import { LSN_ZERO, type Lsn, lsnMax } from '../protocol/lsn.ts';
import type { SourceEpoch, SourceLife } from '../protocol/source-epoch.ts';

export type EpochDecision = {
  readonly epoch: SourceEpoch;
  readonly change: 'none' | 'first' | 'system' | 'timeline' | 'slot' | 'crash' | 'log';
};

/** What the last records of all partitions say. */
export interface LastWord {
  /** The highest source epoch that any of them names. */
  readonly highest: SourceEpoch | undefined;
  /** The highest settled mark of it. */
  readonly settled: Lsn;
  /** The highest end of an interval of it. */
  readonly reached: Lsn;
}

/** Every partition hears of an epoch within a moment of its beginning, so those whose last record is not known may be left out. */
export function lastWord(records: readonly LogRecord[]): LastWord {
  let highest: SourceEpoch | undefined;
  for (const { sourceEpoch } of records)
    if (highest === undefined || sourceEpoch.number > highest.number) highest = sourceEpoch;
  const own = records.filter(({ sourceEpoch }) => sourceEpoch.number === highest?.number);
  return {
    highest,
    settled: own.map(({ settledPrimary }) => settledPrimary).reduce(lsnMax, LSN_ZERO),
    reached: own.map(({ to }) => to).reduce(lsnMax, LSN_ZERO),
  };
}

export interface Continuity {
  /** The highest number that this relay knows to have been drawn, by itself or, from the source's log, by another; 0 at first. */
  readonly known: number;
  /** Whether this relay was told of a crash (57P02) that no epoch in the log answers yet. The server's start does not always show it. */
  readonly crashed: boolean;
  /** Whether this relay saw the server end the replication stream in order since the epoch's postmaster started. */
  readonly endedCleanly: boolean;
  /** Whether commits may be acknowledged before they are durable (`source.asynchronousCommits`). */
  readonly asynchronousCommits: boolean;
}

/**
 * Decides whether the source still lives the life that the log's highest epoch speaks of. If anything may have been lost between, a
 * new number is drawn, and every cell begins a new epoch. A crash counts, because acknowledged asynchronous commits may be gone,
 * and what caches saw of them must go too. So does a log that does not come up to what is known of it: its end is lost, or hidden behind late sends of a former
 * relay, and an epoch may have begun there that regions know of. Of a lower one they would take no more than the items.
 * The number is the time at which it is drawn, in milliseconds, or one more than the highest known. The log may have forgotten a higher one, by its
 * retention, with a lost tail, or behind a former relay's late send; drawn again, regions would take another life for the one they know.
 */
export function decideSourceEpoch(
  { highest, reached }: LastWord,
  life: SourceLife,
  confirmed: Lsn,
  continuity: Continuity,
  nowMs: number,
): EpochDecision {
  // What is confirmed has landed in every partition, and nobody has confirmed it but a relay that was the last of its time.
  const isWhole = reached >= confirmed && continuity.known <= (highest?.number ?? 0);
  const change = highest === undefined ? 'first' : (changeOf(highest, life, continuity) ?? (isWhole ? 'none' : 'log'));
  const number =
    change === 'none' && highest !== undefined
      ? highest.number
      : Math.max((highest?.number ?? 0) + 1, continuity.known + 1, Math.floor(nowMs));
  return { epoch: { number, ...life }, change };
}

/**
 * Whether what the slot has confirmed is settled. It is where an earlier relay has confirmed it; a slot that was just made begins where the log ends, and a
 * relay that goes on with it knows nothing of those that were invisible then. `published` is the highest settled mark that the log holds of the epoch.
 */
export function isStartSettled({ change }: EpochDecision, published: Lsn, confirmed: Lsn): boolean {
  return change === 'none' && published >= confirmed;
}

function changeOf(highest: SourceEpoch, life: SourceLife, continuity: Continuity): EpochDecision['change'] | undefined {
  if (highest.systemId !== life.systemId) return 'system';
  if (highest.timeline !== life.timeline) return 'timeline';
  if (highest.slotIdentity !== life.slotIdentity) return 'slot';
  if (!continuity.asynchronousCommits) return undefined;
  const restarted = highest.postmasterStartedAtMs !== life.postmasterStartedAtMs;
  return continuity.crashed || (restarted && !continuity.endedCleanly) ? 'crash' : undefined;
}
