import type { Lsn } from '../protocol/lsn.ts';
import type { SettledMark } from '../protocol/settled-mark.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Holdings } from './holdings.ts';
import type { RegionStore } from './region-store.ts';

/** Between two looks at the replicas while something is not settled on them, and while everything is. */
const BUSY_EVERY_MS = 10;
const IDLE_EVERY_MS = 1000;

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

export interface ReplicaWatchParts {
  readonly replicas: readonly ReplicaProbe[];
  readonly clock: Clock;
  readonly store: RegionStore;
  readonly holdings: Holdings;
  readonly token: string;
  readonly onSettled: (mark: SettledMark) => void;
}

/** Publishes the settled mark of the replicas into the cells that are held, often while any is behind and seldom otherwise. */
export async function watchReplicas(parts: ReplicaWatchParts, signal: AbortSignal): Promise<void> {
  const { replicas, clock, store, holdings, token } = parts;
  while (!signal.aborted && replicas.length > 0) {
    const behind = holdings.cells.filter((cell) => cell.isBehindReplicas);
    const timeline = behind[0]?.position?.sourceEpoch.timeline;
    if (timeline !== undefined) {
      const states = await Promise.all(replicas.map((replica) => replica.read().catch(() => undefined)));
      const mark = settledOnReplicas(states, timeline);
      if (mark !== undefined) {
        await store.settleReplica(
          behind.map((cell) => cell.cell),
          token,
          mark,
        );
        for (const cell of behind) cell.settledReplica = mark;
        parts.onSettled(mark);
      }
    }
    await clock.sleep(behind.length > 0 ? BUSY_EVERY_MS : IDLE_EVERY_MS, signal);
  }
}
