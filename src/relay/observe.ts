import type { Lsn } from '../protocol/lsn.ts';
import type { EpochDecision } from './source-gap.ts';
import type { WidenReason } from './route-row.ts';

/** What the relay tells of its work. The composition root turns it into metrics and log lines. */
export interface RelayObserver {
  state(state: RelayState, why: string): void;
  epoch(decision: EpochDecision): void;
  attemptEnded(outcome: 'clean' | 'drained' | 'failed', error?: unknown): void;
  transaction(): void;
  change(op: 'insert' | 'update' | 'delete' | 'truncate' | 'message'): void;
  invalidation(scope: 'key' | 'tag' | 'family', family: string): void;
  widened(reason: WidenReason, table: string, family: string): void;
  unrouted(relations: readonly string[]): void;
  messageFault(fault: string): void;
  sent(records: number, bytes: number, seconds: number): void;
  progress(progress: RelayProgress): void;
}

export interface RelayProgress {
  readonly received: Lsn;
  readonly decodedThrough: Lsn;
  readonly settled: Lsn;
  readonly confirmed: Lsn;
  readonly unsettledTransactions: number;
  readonly pendingItems: number;
}

/** `standby`: another relay holds the slot, and this one waits for it. */
export type RelayState = 'starting' | 'standby' | 'streaming' | 'draining' | 'stopped';
