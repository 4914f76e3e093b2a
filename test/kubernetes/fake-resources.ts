import { unknownFields } from './fake-fields.ts';
import { Refusal } from './fake-refusal.ts';
import type { KubeObject } from './fake-store.ts';

/** A kind of object that the fake serves, and what the API server demands of it as far as we touch it. */
export interface Resource {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  /** The client's model of it, for its known fields. */
  readonly model: string;
  readonly hasStatus?: boolean;
  /** False: a PUT without a resourceVersion is refused. */
  readonly takesUnconditionalUpdates: boolean;
  /** What becomes of dependents where a DELETE says nothing. Jobs of batch/v1 alone leave them behind. */
  readonly deletion: 'Background' | 'Orphan';
  readonly check?: (object: KubeObject) => void;
  /** Lists whose items a strategic merge patch merges by a key. */
  readonly mergeKeys?: Readonly<Record<string, string>>;
}

export const RESOURCES: readonly Resource[] = [
  {
    group: 'coordination.k8s.io',
    version: 'v1',
    plural: 'leases',
    kind: 'Lease',
    model: 'V1Lease',
    takesUnconditionalUpdates: false,
    deletion: 'Background',
    check: checkLease,
  },
  {
    group: 'batch',
    version: 'v1',
    plural: 'jobs',
    kind: 'Job',
    model: 'V1Job',
    hasStatus: true,
    takesUnconditionalUpdates: true,
    deletion: 'Orphan',
    check: checkJob,
  },
  {
    group: 'events.k8s.io',
    version: 'v1',
    plural: 'events',
    kind: 'Event',
    model: 'EventsV1Event',
    takesUnconditionalUpdates: true,
    deletion: 'Background',
    check: checkEvent,
  },
  {
    group: '',
    version: 'v1',
    plural: 'pods',
    kind: 'Pod',
    model: 'V1Pod',
    hasStatus: true,
    takesUnconditionalUpdates: true,
    deletion: 'Background',
    mergeKeys: { 'status.conditions': 'type' },
  },
  {
    group: '',
    version: 'v1',
    plural: 'configmaps',
    kind: 'ConfigMap',
    model: 'V1ConfigMap',
    takesUnconditionalUpdates: true,
    deletion: 'Background',
  },
  {
    group: 'apps',
    version: 'v1',
    plural: 'deployments',
    kind: 'Deployment',
    model: 'V1Deployment',
    takesUnconditionalUpdates: true,
    deletion: 'Background',
  },
];

const NAME = /^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/;
const LABEL_NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$/;
/** Go's `2006-01-02T15:04:05.000000Z07:00`: six digits, no more and no fewer. */
const MICRO_TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$/;

/** What is checked of any object before it is written. */
export function checkObject(resource: Resource, object: KubeObject, isStrict: boolean): void {
  const unknown = unknownFields(object, resource.model);
  if (isStrict && unknown.length > 0)
    throw new Refusal(
      400,
      'BadRequest',
      `${resource.kind} in version "${resource.version}" cannot be handled as a ${resource.kind}: strict decoding error: ${unknown.map((field) => `unknown field "${field}"`).join(', ')}`,
    );
  if (!NAME.test(object.metadata.name) || object.metadata.name.length > 253)
    throw invalid(
      resource.kind,
      object,
      'metadata.name',
      'a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters',
    );
  for (const [label, value] of Object.entries(object.metadata.labels ?? {}))
    if (!LABEL_VALUE.test(value))
      throw invalid(resource.kind, object, `metadata.labels`, `"${label}": a valid label must be 63 characters`);
  resource.check?.(object);
}

function checkLease(lease: KubeObject): void {
  const { acquireTime, renewTime, leaseDurationSeconds, holderIdentity, leaseTransitions } = lease.spec ?? {};
  microTime('Lease', acquireTime);
  microTime('Lease', renewTime);
  if (leaseDurationSeconds !== undefined && !(Number(leaseDurationSeconds) > 0))
    throw invalid('Lease', lease, 'spec.leaseDurationSeconds', 'must be greater than 0');
  if (leaseTransitions !== undefined && Number(leaseTransitions) < 0)
    throw invalid('Lease', lease, 'spec.leaseTransitions', 'must be greater than or equal to 0');
  if (holderIdentity === '') throw invalid('Lease', lease, 'spec.holderIdentity', 'must not be empty');
}

function checkEvent(event: KubeObject): void {
  microTime('Event', event['eventTime']);
  for (const field of ['eventTime', 'reportingController', 'reportingInstance', 'action', 'reason'])
    if ((event[field] ?? '') === '') throw invalid('Event', event, field, 'Required value');
  const { note = '' } = event as { note?: string };
  if (note.length > 1024) throw invalid('Event', event, 'note', 'can have at most 1024 bytes');
  if (event['type'] !== 'Normal' && event['type'] !== 'Warning')
    throw invalid('Event', event, 'type', 'has invalid value');
}

interface JobSpec {
  readonly completionMode?: string;
  readonly completions?: number;
  readonly backoffLimitPerIndex?: number;
  readonly successPolicy?: object;
  readonly podFailurePolicy?: { readonly rules: readonly { readonly action: string }[] };
  readonly template?: { readonly spec?: { readonly restartPolicy?: string; readonly containers?: readonly object[] } };
}

function checkJob(job: KubeObject): void {
  const spec = (job.spec ?? {}) as JobSpec;
  const isIndexed = spec.completionMode === 'Indexed';
  if (!((spec.template?.spec?.containers?.length ?? 0) > 0))
    throw invalid('Job', job, 'spec.template.spec.containers', 'Required value');
  if (isIndexed && spec.completions === undefined)
    throw invalid('Job', job, 'spec.completions', 'Required value: when completion mode is Indexed');
  const longest = isIndexed ? `${job.metadata.name}-${(spec.completions ?? 1) - 1}` : job.metadata.name;
  if (longest.length > 63 || !LABEL_NAME.test(longest))
    throw invalid('Job', job, 'metadata.name', `the pod host name "${longest}" must be no more than 63 characters`);
  if (!isIndexed && (spec.backoffLimitPerIndex !== undefined || spec.successPolicy !== undefined))
    throw invalid('Job', job, 'spec', 'requires indexed completion mode');
  if (spec.podFailurePolicy === undefined) return;
  if (spec.template?.spec?.restartPolicy !== 'Never')
    throw invalid(
      'Job',
      job,
      'spec.template.spec.restartPolicy',
      'only "Never" is supported when podFailurePolicy is specified',
    );
  if (
    spec.backoffLimitPerIndex === undefined &&
    spec.podFailurePolicy.rules.some(({ action }) => action === 'FailIndex')
  )
    throw invalid('Job', job, 'spec.podFailurePolicy.rules', 'requires the backoffLimitPerIndex to be set');
}

/** A field that cannot be decoded is a bad request, and no invalid object. */
function microTime(kind: string, value: unknown): void {
  if (value === undefined || value === null) return;
  if (typeof value !== 'string' || !MICRO_TIME.test(value))
    throw new Refusal(
      400,
      'BadRequest',
      `${kind} in version "v1" cannot be handled as a ${kind}: parsing time ${JSON.stringify(value)} as "2006-01-02T15:04:05.000000Z07:00": cannot parse`,
    );
}

export function invalid(kind: string, { metadata }: KubeObject, field: string, why: string): Refusal {
  return new Refusal(422, 'Invalid', `${kind} "${metadata.name}" is invalid: ${field}: ${why}`);
}

export function apiVersionOf({ group, version }: Resource): string {
  return group === '' ? version : `${group}/${version}`;
}
