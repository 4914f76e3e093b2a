/** Labels, annotations and the pod condition that are ours. */
export const LABEL = {
  bus: 'afterwrite.dev/bus',
  region: 'afterwrite.dev/region',
  managedBy: 'app.kubernetes.io/managed-by',
  component: 'app.kubernetes.io/component',
} as const;

/** Of a Job: the region and the epoch as they are, which a label cannot always hold; and the token of the leader that made it. */
export const ANNOTATION = {
  region: 'afterwrite.dev/region',
  epoch: 'afterwrite.dev/epoch',
  fencingToken: 'afterwrite.dev/fencing-token',
} as const;

export const MANAGER = 'afterwrite-controller';
export const WARMUP = 'warmup';
/** Of the application's pods: whether their region takes traffic. */
export const REGION_WARM_CONDITION = 'afterwrite.dev/region-warm';

/** What a label may hold: 63 of these characters, with a letter or a digit at both ends. */
export function labelValue(text: string): string {
  return text
    .replaceAll(/[^A-Za-z0-9_.-]/g, '_')
    .slice(0, 63)
    .replaceAll(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '');
}
