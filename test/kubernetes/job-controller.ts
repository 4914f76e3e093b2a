import type { FakeApi } from './fake-api.ts';
import { type KubeObject, now } from './fake-store.ts';

interface Rule {
  readonly action: 'FailJob' | 'FailIndex' | 'Ignore' | 'Count';
  readonly onExitCodes?: { readonly operator: 'In' | 'NotIn'; readonly values: readonly number[] };
  readonly onPodConditions?: readonly { readonly type: string; readonly status?: string }[];
}

interface JobSpec {
  readonly completions: number;
  readonly parallelism?: number;
  readonly backoffLimitPerIndex?: number;
  readonly ttlSecondsAfterFinished?: number;
  readonly podFailurePolicy?: { readonly rules: readonly Rule[] };
  readonly successPolicy?: { readonly rules: readonly { readonly succeededIndexes?: string }[] };
  readonly template: object;
}

interface JobStatus {
  readonly completedIndexes?: string;
  readonly failedIndexes?: string;
  readonly conditions?: readonly object[];
}

/**
 * The Job controller of Kubernetes, as far as our Jobs use it: Indexed Jobs, failures counted an index, what exit codes and disruptions mean, when a Job has
 * succeeded, and that one with a time to live is removed at its end. It works by what is stored, as the real one does: pods are objects, which a kubelet runs.
 */
export class JobController {
  readonly #api: FakeApi;
  readonly #stop: () => void;
  #isAtWork = false;

  constructor(api: FakeApi) {
    this.#api = api;
    this.#stop = api.store.onChange(({ resource }) => {
      if (resource === 'jobs' || resource === 'pods') setImmediate(() => this.#all());
    });
  }

  close(): void {
    this.#stop();
  }

  #all(): void {
    if (this.#isAtWork) return;
    this.#isAtWork = true;
    for (const job of this.#api.store.list('jobs')) this.#sync(job);
    this.#isAtWork = false;
  }

  #sync(job: KubeObject): void {
    const spec = job.spec as unknown as JobSpec;
    const status = (job.status ?? {}) as JobStatus;
    if (job.metadata.deletionTimestamp !== undefined) return;
    if ((status.conditions ?? []).length > 0) return this.#expire(job, spec);
    const pods = this.#podsOf(job);
    const failures = new Map<number, number>();
    const failed = new Set<number>();
    const done = new Set<number>();
    for (const pod of pods) {
      const index = indexOf(pod);
      if (pod.status?.['phase'] === 'Succeeded') done.add(index);
      if (pod.status?.['phase'] !== 'Failed') continue;
      const action = actionFor(spec.podFailurePolicy?.rules ?? [], pod);
      if (action === 'FailJob')
        return this.#end(job, 'Failed', 'PodFailurePolicy', `exit ${exitOf(pod)} of index ${index}.`, pods);
      if (action === 'FailIndex') failed.add(index);
      if (action === 'Count') failures.set(index, (failures.get(index) ?? 0) + 1);
    }
    for (const [index, count] of failures) if (count > (spec.backoffLimitPerIndex ?? 6)) failed.add(index);
    const wanted = spec.successPolicy?.rules.map(({ succeededIndexes }) => indexesIn(succeededIndexes ?? '')) ?? [];
    if (wanted.some((indexes) => indexes.every((index) => done.has(index))))
      return this.#end(job, 'Complete', 'SuccessPolicy', 'Matched rules at index 0', pods);
    const open = Array.from({ length: spec.completions }, (_, index) => index).filter(
      (index) => !done.has(index) && !failed.has(index),
    );
    if (open.length === 0) {
      if (failed.size > 0) return this.#end(job, 'Failed', 'FailedIndexes', 'Job has failed indexes.', pods);
      return this.#end(job, 'Complete', 'CompletionsReached', 'Reached expected number of succeeded pods', pods);
    }
    const running = new Set(pods.filter(isRunning).map(indexOf));
    for (const index of open.filter((one) => !running.has(one)).slice(0, (spec.parallelism ?? 1) - running.size))
      this.#startPod(job, spec, index, pods.filter((pod) => indexOf(pod) === index).length);
  }

  #podsOf(job: KubeObject): KubeObject[] {
    return this.#api.store
      .list('pods', job.metadata.namespace)
      .filter(({ metadata }) => metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) === true);
  }

  #startPod(job: KubeObject, spec: JobSpec, index: number, attempt: number): void {
    const template = structuredClone(spec.template) as { metadata?: object; spec: object };
    this.#api.store.create('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: {
        ...template.metadata,
        name: `${job.metadata.name}-${index}-${String(attempt).padStart(5, 'a')}`,
        namespace: job.metadata.namespace,
        annotations: { 'batch.kubernetes.io/job-completion-index': String(index) },
        ownerReferences: [{ kind: 'Job', name: job.metadata.name, uid: job.metadata.uid }],
      },
      spec: template.spec,
      status: { phase: 'Pending' },
    });
  }

  /** Pods that still run are ended, as at the end of a real one. */
  #end(job: KubeObject, type: string, reason: string, message: string, pods: readonly KubeObject[]): void {
    for (const pod of pods) if (isRunning(pod)) this.#api.store.remove('pods', pod);
    const conditions = [{ type, status: 'True', reason, message, lastTransitionTime: now(), lastProbeTime: now() }];
    this.#api.store.update('jobs', { ...job, status: { ...job.status, conditions } });
  }

  #expire(job: KubeObject, spec: JobSpec): void {
    if (spec.ttlSecondsAfterFinished !== 0) return;
    for (const pod of this.#podsOf(job)) this.#api.store.remove('pods', pod);
    this.#api.store.remove('jobs', job);
  }
}

function isRunning({ status }: KubeObject): boolean {
  return status?.['phase'] === 'Pending' || status?.['phase'] === 'Running';
}

function indexOf({ metadata }: KubeObject): number {
  return Number(metadata.annotations?.['batch.kubernetes.io/job-completion-index']);
}

function exitOf({ status }: KubeObject): number {
  return Number(status?.['exitCode']);
}

/** The first rule that fits; none: the failure counts. */
function actionFor(rules: readonly Rule[], pod: KubeObject): Rule['action'] {
  const conditions = (pod.status?.['conditions'] ?? []) as readonly { type: string; status: string }[];
  for (const { action, onExitCodes, onPodConditions } of rules) {
    if (
      onExitCodes !== undefined &&
      exitOf(pod) !== 0 &&
      onExitCodes.values.includes(exitOf(pod)) === (onExitCodes.operator === 'In')
    )
      return action;
    if (
      onPodConditions?.some((wanted) =>
        conditions.some(({ type, status }) => type === wanted.type && status === (wanted.status ?? 'True')),
      ) === true
    )
      return action;
  }
  return 'Count';
}

function indexesIn(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return Array.from({ length: to - from + 1 }, (_, i) => from + i);
  });
}
