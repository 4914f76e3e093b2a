import { V1MicroTime } from '@kubernetes/client-node';
import type { LeaderPermit } from '../../controller/leader-permit.ts';
import type { Notice, Notices } from '../../controller/notices.ts';
import { isBusError } from '../../protocol/errors.ts';
import type { KubernetesClient } from './client.ts';
import { MANAGER } from './names.ts';

/** Of what was said, so that it is not sent again with each look. Beyond it the server's own refusal tells. */
const SAID_MAX = 1000;
/** The API server takes 1,024 bytes of a note (apis/events/validation). */
const NOTE_MAX = 1000;
const WARNINGS: ReadonlySet<Notice['reason']> = new Set(['WarmupFailed', 'WarmupCompleteButCold', 'RegionOpened']);

/**
 * Notices as Events of events.k8s.io/v1: the current API, which names the act and the reporter and is what `kubectl events` and `kubectl describe`
 * read; core/v1 is the same store, with fields that are deprecated there. The name is made of Job and reason, so the server keeps one of each.
 */
export class EventNotices implements Notices {
  readonly #client: KubernetesClient;
  /** The pod that reports. */
  readonly #instance: string;
  readonly #nowMs: () => number;
  readonly #said = new Set<string>();

  constructor(client: KubernetesClient, instance: string, nowMs: () => number) {
    this.#client = client;
    this.#instance = instance;
    this.#nowMs = nowMs;
  }

  async say({ reason, note, job }: Notice, permit: LeaderPermit): Promise<void> {
    const namespace = this.#client.namespace;
    const name = `${job.name}.${job.uid.slice(0, 8)}.${reason.toLowerCase()}`;
    if (this.#said.has(name)) return;
    const body = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name, namespace },
      eventTime: new V1MicroTime(this.#nowMs()),
      type: WARNINGS.has(reason) ? 'Warning' : 'Normal',
      reason,
      action: 'Reconcile',
      note: note.slice(0, NOTE_MAX),
      regarding: { apiVersion: 'batch/v1', kind: 'Job', name: job.name, uid: job.uid, namespace },
      reportingController: `afterwrite.dev/${MANAGER}`,
      reportingInstance: this.#instance.slice(0, 128),
    };
    try {
      await this.#client.call(`create event ${reason}`, { permit }, (options) =>
        this.#client.events.createNamespacedEvent({ namespace, body }, options),
      );
    } catch (error) {
      if (!isBusError(error, 'KUBERNETES_CONFLICT')) throw error;
    }
    if (this.#said.size >= SAID_MAX) this.#said.clear();
    this.#said.add(name);
  }
}
