import type { LeaderPermit } from './leader-permit.ts';

/** A warm-up Job, as the API server shows it. */
export interface WarmupJob {
  readonly name: string;
  readonly uid: string;
  readonly version: string;
  readonly region: string;
  /** The epoch of the gate that it was made for. */
  readonly epoch: string;
  /** Of the leader that made it. */
  readonly token: number;
  readonly outcome: JobOutcome;
  /** It is on its way out: its name is free only when it is gone. */
  readonly isLeaving: boolean;
  /** It removes itself some time after its end. */
  readonly isExpiring: boolean;
}

export type JobOutcome =
  | { readonly kind: 'going' }
  | { readonly kind: 'complete' }
  | { readonly kind: 'failed'; readonly reason: string; readonly message: string };

export interface JobOrder {
  readonly name: string;
  readonly region: string;
  readonly epoch: string;
}

export interface JobList {
  readonly jobs: readonly WarmupJob[];
  /** Where in the history of the API server this list stands. */
  readonly version: string;
}

export type WatchEnd = 'closed' | 'gone';

/**
 * The warm-up Jobs of one bus in one namespace. A Job's name is made of region and epoch, so the API server itself refuses a second one of
 * an epoch, whoever asks and however late a request arrives. A call that throws may have been done nevertheless. Throws `KUBERNETES_*`, and
 * `LEADERSHIP_LOST` where the permit has run out before the request left.
 */
export interface WarmupJobs {
  /** All that there are now, not a cache's. */
  list(): Promise<JobList>;
  create(order: JobOrder, permit: LeaderPermit): Promise<'created' | 'exists'>;
  /** With its pods. Only this very Job: one of the same name that was made since stays. */
  delete(job: WarmupJob, permit: LeaderPermit): Promise<'deleted' | 'gone'>;
  /** Has a Job that has ended remove itself after a while. `changed`: it is no longer as it was seen. */
  expire(job: WarmupJob, permit: LeaderPermit): Promise<'expiring' | 'changed'>;
  /**
   * Tells that something of the Jobs has changed since `version`, and to which version, until the server closes the watch. `gone`: the server
   * no longer knows that history, so list anew. A watch may be dead and not say so: nothing may depend on it.
   */
  watch(version: string, changed: (version: string) => void, stop: AbortSignal): Promise<WatchEnd>;
}
