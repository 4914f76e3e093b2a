import type { LeaderPermit } from './leader-permit.ts';

/** A pod of the application that asks for its region's gate before it is ready. */
export interface RegionPod {
  readonly namespace: string;
  readonly name: string;
  readonly version: string;
  readonly region: string;
  /** What the condition says now; undefined: nothing yet. */
  readonly isAdmitted: boolean | undefined;
}

/** The application's pods with a region's label. Throws `KUBERNETES_*`, and `LEADERSHIP_LOST` before a write. */
export interface RegionPods {
  list(): Promise<readonly RegionPod[]>;
  /** `changed`: it is no longer as it was seen; the next look will see. */
  admit(pod: RegionPod, admission: PodAdmission, permit: LeaderPermit): Promise<'written' | 'changed'>;
}

export interface PodAdmission {
  readonly isAdmitted: boolean;
  readonly reason: string;
  readonly message: string;
}
