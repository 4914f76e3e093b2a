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
 */
export function decideSourceEpoch(
  highest: SourceEpoch | undefined,
  life: SourceLife,
  continuity: Continuity,
): EpochDecision {
  if (highest === undefined) return { epoch: { number: 1, ...life }, change: 'first' };
  const change = changeOf(highest, life, continuity);
  return { epoch: { number: change === 'none' ? highest.number : highest.number + 1, ...life }, change };
}

function changeOf(highest: SourceEpoch, life: SourceLife, continuity: Continuity): EpochDecision['change'] {
  if (highest.systemId !== life.systemId) return 'system';
  if (highest.timeline !== life.timeline) return 'timeline';
  if (highest.slotIdentity !== life.slotIdentity) return 'slot';
  if (!continuity.asynchronousCommits) return 'none';
  const restarted = highest.postmasterStartedAtMs !== life.postmasterStartedAtMs;
  return continuity.crashed || (restarted && !continuity.endedCleanly) ? 'crash' : 'none';
}
