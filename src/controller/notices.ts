import type { LeaderPermit } from './leader-permit.ts';

/** What is told to whoever looks at a Job with `kubectl describe`. */
export interface Notice {
  readonly reason: NoticeReason;
  readonly note: string;
  readonly job: { readonly name: string; readonly uid: string };
}

export type NoticeReason =
  | 'WarmupComplete'
  | 'WarmupCompleteButCold'
  | 'WarmupFailed'
  | 'RegionOpened'
  | 'WarmupSuperseded'
  | 'WarmupStarted';

/** Shows notices. One of the same reason and Job is shown once, however often it is said. Throws `KUBERNETES_*`, `LEADERSHIP_LOST`. */
export interface Notices {
  say(notice: Notice, permit: LeaderPermit): Promise<void>;
}
