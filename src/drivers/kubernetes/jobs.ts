import type { V1Job } from '@kubernetes/client-node';
import type { LeaderPermit } from '../../controller/leader-permit.ts';
import type { JobList, JobOrder, JobOutcome, WarmupJob, WarmupJobs, WatchEnd } from '../../controller/warmup-jobs.ts';
import { isBusError } from '../../protocol/errors.ts';
import type { KubernetesClient } from './client.ts';
import { jobManifest } from './job-manifest.ts';
import { readJobTemplate } from './job-template.ts';
import { ANNOTATION, LABEL, labelValue, MANAGER } from './names.ts';
import { readOwner } from './owner.ts';
import { watchChanges } from './watch.ts';

export interface JobOptions {
  readonly bus: string;
  readonly shards: number;
  readonly templatePath: string;
  /** `configmap/<name>` or `deployment/<name>`: when it is deleted, so are the Jobs. */
  readonly owner?: string | undefined;
  /** How long a Job that has warmed its region stands for people to see. */
  readonly ttlSeconds: number;
}

/** More is an error of somebody else's; a list in pieces would have no one version to watch from. */
const JOBS_MAX = 500;
const TOKEN_LIMIT = 2 ** 31 - 1;

/** The warm-up Jobs in batch/v1. */
export class KubernetesJobs implements WarmupJobs {
  readonly #client: KubernetesClient;
  readonly #options: JobOptions;
  readonly #labelSelector: string;

  constructor(client: KubernetesClient, options: JobOptions) {
    this.#client = client;
    this.#options = options;
    this.#labelSelector = `${LABEL.managedBy}=${MANAGER},${LABEL.bus}=${labelValue(options.bus)}`;
  }

  async list(): Promise<JobList> {
    const list = await this.#client.call('list jobs', {}, (options) =>
      this.#client.batch.listNamespacedJob(
        { namespace: this.#client.namespace, labelSelector: this.#labelSelector, limit: JOBS_MAX },
        options,
      ),
    );
    return { jobs: list.items.map(viewOf), version: list.metadata?.resourceVersion ?? '' };
  }

  async create(order: JobOrder, permit: LeaderPermit): Promise<'created' | 'exists'> {
    const { templatePath, bus, shards, owner } = this.#options;
    const template = await readJobTemplate(templatePath);
    // Read for each Job: under an owner that was made anew in the meantime, the garbage collector would delete the Job at once.
    const reference = owner === undefined ? undefined : await readOwner(this.#client, owner);
    const namespace = this.#client.namespace;
    const body = jobManifest(template, order, { namespace, bus, shards, owner: reference, token: permit.token });
    try {
      await this.#client.call(`create job ${order.name}`, { permit, body }, (options) =>
        // A field that the server does not know is an error, and not dropped.
        this.#client.batch.createNamespacedJob({ namespace, body, fieldValidation: 'Strict' }, options),
      );
      return 'created';
    } catch (error) {
      if (isBusError(error, 'KUBERNETES_CONFLICT')) return 'exists';
      throw error;
    }
  }

  async delete(job: WarmupJob, permit: LeaderPermit): Promise<'deleted' | 'gone'> {
    const call = this.#client.call(`delete job ${job.name}`, { permit }, (options) =>
      this.#client.batch.deleteNamespacedJob(
        {
          name: job.name,
          namespace: this.#client.namespace,
          // Jobs of batch/v1 leave their pods behind where nothing is said (registry/batch/job/strategy.go: OrphanDependents).
          body: { propagationPolicy: 'Background', preconditions: { uid: job.uid } },
        },
        options,
      ),
    );
    return (await wasThere(call)) ? 'deleted' : 'gone';
  }

  async expire(job: WarmupJob, permit: LeaderPermit): Promise<'expiring' | 'changed'> {
    const call = this.#client.call(`patch job ${job.name}`, { permit, patch: 'merge' }, (options) =>
      this.#client.batch.patchNamespacedJob(
        {
          name: job.name,
          namespace: this.#client.namespace,
          // On another version it is a conflict. (A uid would do as well, but another one is "invalid", as much else is.)
          body: {
            metadata: { resourceVersion: job.version },
            spec: { ttlSecondsAfterFinished: this.#options.ttlSeconds },
          },
        },
        options,
      ),
    );
    return (await wasThere(call)) ? 'expiring' : 'changed';
  }

  watch(version: string, changed: (version: string) => void, stop: AbortSignal): Promise<WatchEnd> {
    const path = `/apis/batch/v1/namespaces/${encodeURIComponent(this.#client.namespace)}/jobs`;
    return watchChanges(this.#client, { path, labelSelector: this.#labelSelector, version, changed, stop });
  }
}

/** False: it is gone, or another than was seen stands there. */
async function wasThere(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (isBusError(error, 'KUBERNETES_OBJECT_MISSING') || isBusError(error, 'KUBERNETES_CONFLICT')) return false;
    throw error;
  }
}

function viewOf({ metadata, spec, status }: V1Job): WarmupJob {
  const annotations = metadata?.annotations ?? {};
  return {
    name: metadata?.name ?? '',
    uid: metadata?.uid ?? '',
    version: metadata?.resourceVersion ?? '',
    region: annotations[ANNOTATION.region] ?? '',
    epoch: annotations[ANNOTATION.epoch] ?? '',
    token: tokenOf(annotations[ANNOTATION.fencingToken]),
    outcome: outcomeOf(status),
    isLeaving: metadata?.deletionTimestamp !== undefined,
    isExpiring: spec?.ttlSecondsAfterFinished !== undefined,
  };
}

/** What no lease can count to (`leaseTransitions` is an int32) was written by nobody who led. */
function tokenOf(text: string | undefined): number {
  const token = Number(text);
  return Number.isInteger(token) && token > 0 && token < TOKEN_LIMIT ? token : 0;
}

/** Only these two conditions are final; `FailureTarget` and `SuccessCriteriaMet` come before the last pod has ended. */
function outcomeOf(status: V1Job['status']): JobOutcome {
  for (const condition of status?.conditions ?? []) {
    if (condition.status !== 'True') continue;
    if (condition.type === 'Complete') return { kind: 'complete' };
    if (condition.type === 'Failed')
      return { kind: 'failed', reason: condition.reason ?? 'Failed', message: condition.message ?? '' };
  }
  return { kind: 'going' };
}
