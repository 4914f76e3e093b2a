import type { V1EnvVar, V1Job, V1OwnerReference, V1PodFailurePolicy } from '@kubernetes/client-node';
import type { JobOrder } from '../../controller/warmup-jobs.ts';
import type { JobTemplate } from './job-template.ts';
import { ANNOTATION, LABEL, labelValue, MANAGER, WARMUP } from './names.ts';

export interface JobFacts {
  readonly namespace: string;
  readonly bus: string;
  readonly token: number;
  /** Pods that share the keys: completions of the Job. */
  readonly shards: number;
  readonly owner?: V1OwnerReference | undefined;
}

/** A warm-up that can never succeed, in this pod; and one whose epoch is over, in all. */
export const EXIT_NEVER = 42;
export const EXIT_EPOCH_OVER = 43;

const BACKOFF_LIMIT_PER_INDEX = 3;
/** A warm-up that takes this long will not end. */
const ACTIVE_DEADLINE_SECONDS = 3600;

/**
 * The first rule that fits decides, so an exit code says more than that its node was drained. What was disrupted counts as no failure (Kubernetes,
 * "Pod failure policy"); without `restartPolicy: Never` the API server takes none of it.
 */
const POD_FAILURE_POLICY: V1PodFailurePolicy = {
  rules: [
    { action: 'FailJob', onExitCodes: { operator: 'In', values: [EXIT_EPOCH_OVER] } },
    { action: 'FailIndex', onExitCodes: { operator: 'In', values: [EXIT_NEVER] } },
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
  ],
};

/**
 * The Job of a region's epoch. The template says what runs, and how long, with what means; what the controller and the warm-up have agreed on is
 * set whatever the template says: names, labels, the environment, that pods have an index, and what exit codes mean.
 *
 * It is given no time to live, also where the template has one: a Job that failed and vanished would be made anew. `expire` gives it one.
 */
export function jobManifest(template: JobTemplate, order: JobOrder, facts: JobFacts): V1Job {
  const { ttlSecondsAfterFinished: _, ...spec } = template.spec ?? { template: {} };
  const pod = spec.template;
  const own = {
    [LABEL.managedBy]: MANAGER,
    [LABEL.component]: WARMUP,
    [LABEL.bus]: labelValue(facts.bus),
    [LABEL.region]: labelValue(order.region),
  };
  // A pod of the warm-up is none of the application's: the label that asks for the gate is not for it.
  const { [LABEL.region]: __, ...ofPod } = own;
  const env = environment(order, facts);
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: order.name,
      namespace: facts.namespace,
      labels: { ...template.metadata?.labels, ...own },
      annotations: {
        ...template.metadata?.annotations,
        [ANNOTATION.region]: order.region,
        [ANNOTATION.epoch]: order.epoch,
        [ANNOTATION.fencingToken]: String(facts.token),
      },
      ...(facts.owner === undefined ? {} : { ownerReferences: [facts.owner] }),
    },
    spec: {
      parallelism: facts.shards,
      backoffLimitPerIndex: BACKOFF_LIMIT_PER_INDEX,
      activeDeadlineSeconds: ACTIVE_DEADLINE_SECONDS,
      // Said rather than left to the default, so that it stands in the Job: each shard has keys of its own.
      successPolicy: { rules: [{ succeededIndexes: facts.shards === 1 ? '0' : `0-${facts.shards - 1}` }] },
      ...spec,
      completionMode: 'Indexed',
      completions: facts.shards,
      podFailurePolicy: POD_FAILURE_POLICY,
      template: {
        ...pod,
        metadata: { ...pod.metadata, labels: { ...pod.metadata?.labels, ...ofPod } },
        spec: {
          ...pod.spec,
          restartPolicy: 'Never',
          containers: (pod.spec?.containers ?? []).map((container) => ({
            ...container,
            env: [...(container.env ?? []).filter(({ name }) => !env.some((ours) => ours.name === name)), ...env],
          })),
        },
      },
    },
  };
}

/** What a container is told, beside JOB_COMPLETION_INDEX, which Kubernetes sets. */
function environment({ region, epoch }: JobOrder, { shards, token, bus }: JobFacts): V1EnvVar[] {
  return [
    { name: 'AFTERWRITE_BUS', value: bus },
    { name: 'AFTERWRITE_REGION', value: region },
    { name: 'AFTERWRITE_EPOCH', value: epoch },
    { name: 'AFTERWRITE_SHARDS', value: String(shards) },
    { name: 'AFTERWRITE_FENCING_TOKEN', value: String(token) },
  ];
}
