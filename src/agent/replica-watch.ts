import type { Lsn } from '../protocol/lsn.ts';
import type { SettledMark } from '../protocol/settled-mark.ts';

/** What a read replica says of itself. */
export interface ReplicaState {
  /** `pg_last_wal_replay_lsn()`. */
  readonly replayLsn: Lsn;
  /** `pg_is_in_recovery()`: false after a promotion. */
  readonly isInRecovery: boolean;
  /** The timeline that it receives. */
  readonly timeline: number;
}

export interface ReplicaProbe {
  /** Throws while the replica does not answer. */
  read(): Promise<ReplicaState>;
  close(): Promise<void>;
}

/**
 * The settled mark of a region's replicas: the lowest replay LSN of all that are listed, if each of them answers, is in recovery and
 * follows the timeline of the source. Otherwise none: a replica that cannot be asked may be at any LSN.
 */
export function settledOnReplicas(
  states: readonly (ReplicaState | undefined)[],
  timeline: number,
): SettledMark | undefined {
  let lowest: Lsn | undefined;
  for (const state of states) {
    if (state === undefined || !state.isInRecovery || state.timeline !== timeline) return undefined;
    if (lowest === undefined || state.replayLsn < lowest) lowest = state.replayLsn;
  }
  return lowest === undefined ? undefined : { timeline, lsn: lowest };
}
