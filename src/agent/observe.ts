import type { Invalidation } from '../protocol/invalidation.ts';
import type { Lsn } from '../protocol/lsn.ts';
import type { GateObserver } from './gate-watch.ts';
import type { HotKeysObserver } from './hot-keys.ts';
import type { EpochReason } from './plan.ts';
import type { RefreshObserver } from './refresh.ts';

/** What an agent tells of its work. The composition root turns it into metrics and log lines. */
export interface AgentObserver extends RefreshObserver, GateObserver, HotKeysObserver {
  connected(): void;
  /** The region's Redis went away, or the agent lost it; called once a spell. */
  away(error: unknown): void;
  redisAway(seconds: number): void;
  took(cell: number): void;
  gaveUp(cell: number, why: 'released' | 'another owner' | 'away'): void;
  /** The cell stands still until an operator acts. */
  stopped(cell: number, error: unknown): void;
  applied(facts: AppliedFacts): void;
  refused(cell: number, why: 'owner' | 'position' | 'lost'): void;
  epoch(cell: number, reason: EpochReason, floor: Lsn): void;
  deadLetter(cell: number, error: unknown): void;
  swept(keys: number): void;
  progress(progress: AgentProgress): void;
}

export interface AppliedFacts {
  readonly records: number;
  readonly items: readonly Invalidation[];
  /** Of each transaction, from its commit by the clock of Postgres to now. */
  readonly commitToEvictedSeconds: readonly number[];
  readonly unlinked: number;
  /** Values that are kept for their family’s stale bound. */
  readonly expired: number;
  readonly seconds: number;
}

export interface AgentProgress {
  readonly owned: number;
  readonly stopped: number;
  /** The lowest of the owned cells; null while none has a position. */
  readonly watermark: Lsn | null;
  readonly stalenessMs: number | null;
  readonly lagRecords: number;
  readonly sweepsOwed: number;
  readonly settledReplica: Lsn | null;
}
