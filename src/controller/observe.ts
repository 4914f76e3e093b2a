import type { BusError } from '../protocol/errors.ts';
import type { LeadershipObserver } from './leadership.ts';
import type { Act } from './act.ts';
import type { GateAnswer } from './region-gates.ts';
import type { WarmupJob } from './warmup-jobs.ts';

export type ActOutcome = 'done' | 'needless' | 'failed';

/** What a controller tells. */
export interface ControllerObserver extends LeadershipObserver {
  looked(look: {
    readonly gates: ReadonlyMap<string, GateAnswer>;
    readonly jobs: readonly WarmupJob[];
    readonly seconds: number;
    /** Why something is left undone. */
    readonly undone?: BusError | undefined;
  }): void;
  lookFailed(error: unknown): void;
  /** `needless`: it was so already. */
  acted(act: Act, outcome: ActOutcome, error?: unknown): void;
  watchEnded(reason: 'closed' | 'gone' | 'failed', error?: unknown): void;
}
