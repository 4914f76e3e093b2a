import type { LeaderRecord, StoredRecord } from './leader-record.ts';

/** The timing of an election: the usual one of Kubernetes's own components (client-go, tools/leaderelection). */
export interface ElectionTiming {
  /** Others leave a holder alone for so long after they saw him renew. */
  readonly durationMs: number;
  /** A holder acts for so long after he sent his last renewal that succeeded. */
  readonly renewDeadlineMs: number;
  /** Between two tries. */
  readonly retryMs: number;
}

export const ELECTION_TIMING: ElectionTiming = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2000 };

/** A record, and when by the own monotonic clock it was first seen as it is. */
export interface Sighting {
  readonly record: StoredRecord | undefined;
  readonly sinceMs: number;
}

export type ElectionStep =
  | { readonly kind: 'create' }
  | { readonly kind: 'renew' }
  | { readonly kind: 'take' }
  | { readonly kind: 'wait' };

/**
 * Remembers since when a record stands unchanged. Two wall clocks are never compared: that of a record's writer may be hours off, so what
 * counts is how long *we* have seen nothing new.
 *
 *     holder     sends a renewal ────┬── acts until here (10 s)
 *                                    │
 *     server          it is written ─┼──────┬
 *     watcher              sees it ──┼──────┼──── takes over here at the earliest (15 s)
 *
 * Whatever the delays, the second line ends before the third, as long as no clock runs half as fast again as another.
 */
export function sighted(before: Sighting | undefined, record: StoredRecord | undefined, nowMs: number): Sighting {
  if (before !== undefined && isSame(before.record, record)) return { record, sinceMs: before.sinceMs };
  return { record, sinceMs: nowMs };
}

/** What a candidate does about what he sees. */
export function electionStep(identity: string, { record, sinceMs }: Sighting, nowMs: number): ElectionStep {
  if (record === undefined) return { kind: 'create' };
  if (record.holder === identity) return { kind: 'renew' };
  if (record.holder === '' || nowMs - sinceMs >= record.durationMs) return { kind: 'take' };
  return { kind: 'wait' };
}

/** By what is said in it, not by its version: a label that somebody adds renews nothing. */
function isSame(a: LeaderRecord | undefined, b: LeaderRecord | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.holder === b.holder &&
    a.renewedMs === b.renewedMs &&
    a.acquiredMs === b.acquiredMs &&
    a.transitions === b.transitions &&
    a.durationMs === b.durationMs
  );
}
