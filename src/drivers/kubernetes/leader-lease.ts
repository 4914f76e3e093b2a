import { type V1Lease, V1MicroTime } from '@kubernetes/client-node';
import type { LeaderRecord, LeaderRecords, RecordWrite, StoredRecord } from '../../controller/leader-record.ts';
import { isBusError } from '../../protocol/errors.ts';
import type { KubernetesClient } from './client.ts';

/** The leader's record as a Lease of coordination.k8s.io/v1, as Kubernetes's own components keep theirs. */
export class LeaderLease implements LeaderRecords {
  readonly #client: KubernetesClient;
  readonly #name: string;
  readonly #labels: Readonly<Record<string, string>>;

  constructor(client: KubernetesClient, name: string, labels: Readonly<Record<string, string>>) {
    this.#client = client;
    this.#name = name;
    this.#labels = labels;
  }

  async read(timeoutMs: number): Promise<StoredRecord | undefined> {
    try {
      const lease = await this.#client.call(`get lease ${this.#name}`, { timeoutMs }, (options) =>
        this.#client.coordination.readNamespacedLease({ name: this.#name, namespace: this.#client.namespace }, options),
      );
      return recordOf(lease);
    } catch (error) {
      if (isBusError(error, 'KUBERNETES_OBJECT_MISSING')) return undefined;
      throw error;
    }
  }

  create(record: LeaderRecord, timeoutMs: number): Promise<RecordWrite> {
    return written(
      this.#client.call(`create lease ${this.#name}`, { timeoutMs }, (options) =>
        this.#client.coordination.createNamespacedLease(
          { namespace: this.#client.namespace, body: this.#leaseOf(record) },
          options,
        ),
      ),
    );
  }

  update(record: StoredRecord, timeoutMs: number): Promise<RecordWrite> {
    return written(
      this.#client.call(`update lease ${this.#name}`, { timeoutMs }, (options) =>
        this.#client.coordination.replaceNamespacedLease(
          { name: this.#name, namespace: this.#client.namespace, body: this.#leaseOf(record, record.version) },
          options,
        ),
      ),
    );
  }

  #leaseOf(record: LeaderRecord, resourceVersion?: string): V1Lease {
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: {
        name: this.#name,
        namespace: this.#client.namespace,
        labels: { ...this.#labels },
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
      },
      spec: {
        // None, rather than an empty one, which newer servers refuse.
        ...(record.holder === '' ? {} : { holderIdentity: record.holder }),
        leaseDurationSeconds: Math.max(1, Math.round(record.durationMs / 1000)),
        leaseTransitions: record.transitions,
        acquireTime: new V1MicroTime(record.acquiredMs),
        renewTime: new V1MicroTime(record.renewedMs),
      },
    };
  }
}

async function written(call: Promise<V1Lease>): Promise<RecordWrite> {
  try {
    return { kind: 'written', stored: recordOf(await call) };
  } catch (error) {
    // Deleted in the meantime: whoever made it holds nothing any more.
    if (isBusError(error, 'KUBERNETES_CONFLICT') || isBusError(error, 'KUBERNETES_OBJECT_MISSING'))
      return { kind: 'conflict' };
    throw error;
  }
}

/** Any of it may be missing: a chart may have made an empty one. */
function recordOf({ metadata, spec }: V1Lease): StoredRecord {
  return {
    version: metadata?.resourceVersion ?? '',
    holder: spec?.holderIdentity ?? '',
    durationMs: (spec?.leaseDurationSeconds ?? 0) * 1000,
    transitions: spec?.leaseTransitions ?? 0,
    acquiredMs: timeOf(spec?.acquireTime),
    renewedMs: timeOf(spec?.renewTime),
  };
}

/** The client's types say a V1MicroTime, and 2.0.1 gives the text. Written back it must have six digits again, so it is taken apart here. */
function timeOf(time: Date | string | undefined): number {
  const ms = time === undefined ? 0 : new Date(time).getTime();
  return Number.isNaN(ms) ? 0 : ms;
}
