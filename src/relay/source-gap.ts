import type { Lsn } from '../protocol/lsn.ts';
import type { SourceEpoch, SourceLife } from '../protocol/source-epoch.ts';

export type EpochDecision = {
  readonly epoch: SourceEpoch;
  readonly change: 'none' | 'first' | 'system' | 'timeline' | 'slot' | 'crash';
};

export interface Continuity {
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
 * and what caches saw of them must go too.
 * The number is the time at which it is drawn, in milliseconds, or one more than the highest known. The log may have forgotten a higher one, by its
 * retention, with a lost tail, or behind a former relay's late send; drawn again, regions would take another life for the one they know.
 */
export function decideSourceEpoch(
  highest: SourceEpoch | undefined,
  life: SourceLife,
  continuity: Continuity,
  nowMs: number,
): EpochDecision {
  const change = highest === undefined ? 'first' : changeOf(highest, life, continuity);
  const number =
    change === 'none' && highest !== undefined
      ? highest.number
      : Math.max((highest?.number ?? 0) + 1, Math.floor(nowMs));
  return { epoch: { number, ...life }, change };
}

/**
 * Whether what the slot has confirmed is settled. It is where an earlier relay has confirmed it; a slot that was just made begins where the log ends, and a
 * relay that goes on with it knows nothing of those that were invisible then. `published` is the highest settled mark that the log holds of the epoch.
 */
export function isStartSettled({ change }: EpochDecision, published: Lsn, confirmed: Lsn): boolean {
  return change === 'none' && published >= confirmed;
}

function changeOf(highest: SourceEpoch, life: SourceLife, continuity: Continuity): EpochDecision['change'] {
  if (highest.systemId !== life.systemId) return 'system';
  if (highest.timeline !== life.timeline) return 'timeline';
  if (highest.slotIdentity !== life.slotIdentity) return 'slot';
  if (!continuity.asynchronousCommits) return 'none';
  const restarted = highest.postmasterStartedAtMs !== life.postmasterStartedAtMs;
  return continuity.crashed || (restarted && !continuity.endedCleanly) ? 'crash' : 'none';
}
