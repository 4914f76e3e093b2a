import type { Lsn } from '../protocol/lsn.ts';
import type { SettledMark } from '../protocol/settled-mark.ts';
import { answerWithin } from '../runtime/answer-within.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Holdings } from './holdings.ts';
import type { RegionStore } from './region-store.ts';

/** Between two looks at the replicas while something is not settled on them, and while everything is. */
const BUSY_EVERY_MS = 10;
const IDLE_EVERY_MS = 1000;
const ANSWER_TIMEOUT_MS = 2000;

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

/** How long to wait before the next look. Replicas that settle nothing are asked ever more seldom, however much is behind. */
export function pauseMs(isBehind: boolean, looksInVain: number): number {
  return isBehind ? Math.min(IDLE_EVERY_MS, BUSY_EVERY_MS * 2 ** Math.min(looksInVain, 10)) : IDLE_EVERY_MS;
}

/** Publishes the settled mark of the replicas into the cells that are held, often while any is behind and seldom otherwise. */
export async function watchReplicas(parts: ReplicaWatchParts, signal: AbortSignal): Promise<void> {
  const { clock, store, holdings, token } = parts;
  const replicas = parts.replicas.map((probe) => askerOf(probe, clock, signal));
  let looksInVain = 0;
  while (!signal.aborted && replicas.length > 0) {
    const behind = holdings.cells.filter((cell) => cell.isBehindReplicas);
    const timeline = behind[0]?.position?.sourceEpoch.timeline;
    if (timeline !== undefined) {
      const mark = settledOnReplicas(await Promise.all(replicas.map((ask) => ask())), timeline);
      looksInVain = mark === undefined ? looksInVain + 1 : 0;
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
    await clock.sleep(pauseMs(behind.length > 0, looksInVain), signal);
  }
}

/** A replica that hangs is asked once, and not again before it has answered: else its questions would queue up. */
function askerOf(probe: ReplicaProbe, clock: Clock, signal: AbortSignal): () => Promise<ReplicaState | undefined> {
  let isAsked = false;
  return async () => {
    if (isAsked) return undefined;
    isAsked = true;
    const question = probe.read().finally(() => (isAsked = false));
    return answerWithin(question, ANSWER_TIMEOUT_MS, clock, signal).catch(() => undefined);
  };
}
