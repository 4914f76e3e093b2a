import type { Notice } from './notices.ts';
import type { PodAdmission, RegionPod } from './region-pods.ts';
import type { JobOrder, WarmupJob } from './warmup-jobs.ts';

export type Act =
  | { readonly kind: 'create'; readonly order: JobOrder }
  | { readonly kind: 'delete'; readonly job: WarmupJob; readonly then: Notice }
  | { readonly kind: 'expire'; readonly job: WarmupJob; readonly then: Notice }
  | { readonly kind: 'open'; readonly region: string; readonly epoch: string; readonly then: Notice }
  | { readonly kind: 'say'; readonly notice: Notice }
  | { readonly kind: 'admit'; readonly pod: RegionPod; readonly admission: PodAdmission };

/** What an act is about. Of another epoch, it is another. */
export function subjectOf(act: Act): string {
  switch (act.kind) {
    case 'create':
      return `create ${act.order.name}`;
    case 'delete':
    case 'expire':
      return `${act.kind} ${act.job.uid}`;
    case 'open':
      return `open ${act.region} ${act.epoch}`;
    case 'say':
      return `say ${act.notice.reason} ${act.notice.job.uid}`;
    case 'admit':
      return `admit ${act.pod.namespace}/${act.pod.name}`;
  }
}
