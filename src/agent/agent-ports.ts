import type { Clock } from '../runtime/clock.ts';
import type { LogReader, RecordHandler } from './from-log.ts';
import type { HotKeysPorts } from './hot-keys.ts';
import type { AgentObserver } from './observe.ts';
import type { Refresher } from './refresh.ts';
import type { RegionStore } from './region-store.ts';
import type { ReplicaProbe } from './replica-watch.ts';

/** What an agent works with. */
export interface AgentPorts {
  readonly connectStore: () => Promise<RegionStore>;
  readonly openLog: (handler: RecordHandler) => Promise<LogReader>;
  readonly replicas: readonly ReplicaProbe[];
  /** Where families are loaded anew after a change; without it what is owed waits for a process that has one. */
  readonly refresher?: Refresher;
  /** Where what the region's processes read most is published; without it that is left to other agents. */
  readonly hotKeys?: HotKeysPorts;
  readonly clock: Clock;
  readonly observer: AgentObserver;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Sixteen random hex digits, never the same twice. */
  readonly token: () => string;
}
