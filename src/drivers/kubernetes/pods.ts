import type { V1Pod } from '@kubernetes/client-node';
import type { LeaderPermit } from '../../controller/leader-permit.ts';
import type { PodAdmission, RegionPod, RegionPods } from '../../controller/region-pods.ts';
import { isBusError } from '../../protocol/errors.ts';
import type { KubernetesClient } from './client.ts';
import { LABEL, REGION_WARM_CONDITION } from './names.ts';

const PAGE = 500;

/** The application's pods that have a readiness gate of ours, in one namespace. */
export class KubernetesPods implements RegionPods {
  readonly #client: KubernetesClient;
  readonly #namespace: string;
  readonly #nowMs: () => number;

  constructor(client: KubernetesClient, namespace: string, nowMs: () => number) {
    this.#client = client;
    this.#namespace = namespace;
    this.#nowMs = nowMs;
  }

  async list(): Promise<readonly RegionPod[]> {
    const pods: V1Pod[] = [];
    let next: string | undefined;
    do {
      const page = await this.#client.call('list pods', {}, (options) =>
        this.#client.core.listNamespacedPod(
          {
            namespace: this.#namespace,
            labelSelector: LABEL.region,
            limit: PAGE,
            ...(next === undefined ? {} : { _continue: next }),
          },
          options,
        ),
      );
      pods.push(...page.items);
      next = page.metadata?._continue;
    } while (next !== undefined && next !== '');
    return pods.filter(asksForTheGate).map((pod) => this.#viewOf(pod));
  }

  async admit(pod: RegionPod, admission: PodAdmission, permit: LeaderPermit): Promise<'written' | 'changed'> {
    // Conditions are merged by their type in a strategic merge; in a merge patch the list would replace the kubelet's.
    const condition = {
      type: REGION_WARM_CONDITION,
      status: admission.isAdmitted ? 'True' : 'False',
      reason: admission.reason,
      message: admission.message,
      lastTransitionTime: new Date(this.#nowMs()).toISOString().replace(/\.\d+Z$/, 'Z'),
    };
    const call = this.#client.call(`patch pod ${pod.name}`, { permit, patch: 'strategic' }, (options) =>
      this.#client.core.patchNamespacedPodStatus(
        {
          name: pod.name,
          namespace: pod.namespace,
          body: { metadata: { resourceVersion: pod.version }, status: { conditions: [condition] } },
        },
        options,
      ),
    );
    try {
      await call;
      return 'written';
    } catch (error) {
      if (isBusError(error, 'KUBERNETES_OBJECT_MISSING') || isBusError(error, 'KUBERNETES_CONFLICT')) return 'changed';
      throw error;
    }
  }

  #viewOf({ metadata, status }: V1Pod): RegionPod {
    const condition = status?.conditions?.find(({ type }) => type === REGION_WARM_CONDITION);
    return {
      namespace: metadata?.namespace ?? this.#namespace,
      name: metadata?.name ?? '',
      version: metadata?.resourceVersion ?? '',
      region: metadata?.labels?.[LABEL.region] ?? '',
      isAdmitted: condition === undefined ? undefined : condition.status === 'True',
    };
  }
}

/** A pod without the gate does not wait for the condition; one that is leaving, or has ended, takes no traffic. */
function asksForTheGate({ metadata, spec, status }: V1Pod): boolean {
  return (
    metadata?.deletionTimestamp === undefined &&
    status?.phase !== 'Succeeded' &&
    status?.phase !== 'Failed' &&
    (spec?.readinessGates ?? []).some(({ conditionType }) => conditionType === REGION_WARM_CONDITION)
  );
}
