import type { ApiUnderTest } from './api-under-test.ts';

/** Paths in a suite's own namespace. */
export class ConformancePaths {
  readonly #api: () => ApiUnderTest;

  constructor(api: () => ApiUnderTest) {
    this.#api = api;
  }

  leases(lease = ''): string {
    return this.#path('/apis/coordination.k8s.io/v1', `leases${lease}`);
  }

  jobs(job = ''): string {
    return this.#path('/apis/batch/v1', `jobs${job}`);
  }

  events(): string {
    return this.#path('/apis/events.k8s.io/v1', 'events');
  }

  maps(map = ''): string {
    return this.#path('/api/v1', `configmaps${map}`);
  }

  pods(pod = ''): string {
    return this.#path('/api/v1', `pods${pod}`);
  }

  #path(group: string, rest: string): string {
    return `${group}/namespaces/${this.#api().namespace}/${rest}`;
  }
}

export const CONTAINER = { name: 'warm', image: 'example.invalid/afterwrite', command: ['true'] };

/** A Job as the controller makes them. */
export function indexedJob(name: string, spec: object): object {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      completionMode: 'Indexed',
      completions: 1,
      parallelism: 1,
      backoffLimitPerIndex: 3,
      successPolicy: { rules: [{ succeededIndexes: '0' }] },
      podFailurePolicy: {
        rules: [
          { action: 'FailJob', onExitCodes: { operator: 'In', values: [43] } },
          { action: 'FailIndex', onExitCodes: { operator: 'In', values: [42] } },
          { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] },
        ],
      },
      template: { spec: { restartPolicy: 'Never', containers: [CONTAINER] } },
      ...spec,
    },
  };
}
