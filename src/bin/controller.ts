import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { regionOf } from '../cli/commands/context.ts';
import type { ControllerOptions } from '../cli/commands/controller.ts';
import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import { keyspaceOf } from '../config/region-keyspace.ts';
import { Controller, CONTROLLER_TIMING } from '../controller/controller.ts';
import { ELECTION_TIMING } from '../controller/election.ts';
import { Leadership } from '../controller/leadership.ts';
import { KubernetesClient } from '../drivers/kubernetes/client.ts';
import { readJobTemplate } from '../drivers/kubernetes/job-template.ts';
import { KubernetesJobs } from '../drivers/kubernetes/jobs.ts';
import { LeaderLease } from '../drivers/kubernetes/leader-lease.ts';
import { LABEL, labelValue, MANAGER } from '../drivers/kubernetes/names.ts';
import { EventNotices } from '../drivers/kubernetes/notices.ts';
import { isOwner } from '../drivers/kubernetes/owner.ts';
import { KubernetesPods } from '../drivers/kubernetes/pods.ts';
import { RedisRegionGates } from '../drivers/redis/region-gates.ts';
import { BusError } from '../protocol/errors.ts';
import { systemClock } from '../runtime/clock.ts';
import { notReady, READY, type Readiness } from '../runtime/health.ts';
import type { Service } from '../runtime/service.ts';
import { observeController } from './controller-observer.ts';
import { runProcess } from './process.ts';

/** Nothing heard of the API server for so long: not ready. */
const SILENT_MS = 30_000;
/** A new pod of the application waits for no longer than this for a look. */
const RELIST_WITH_PODS_MS = 2000;

/** `afterwrite controller`: starts a warm-up for a region that is cold. Any number may run; one of them leads. */
export function runController(config: BusConfig, options: ControllerOptions): Promise<number> {
  const regions = regionsOf(config, options.regions);
  if (options.owner !== undefined && !isOwner(options.owner))
    throw new BusError('SETTING_INVALID', `--owner "${options.owner}": configmap/NAME or deployment/NAME is expected.`);
  return runProcess('controller', { bus: config.bus }, async ({ log, metrics, health }): Promise<Service> => {
    // What is wrong with the template is told now, and not when a region is cold.
    await readJobTemplate(options.template);
    const client = new KubernetesClient({ kubeconfig: options.kubeconfig, namespace: options.namespace });
    const observer = observeController(metrics, log);
    const pod = options.identity ?? hostname();
    const clock = systemClock;
    const leadership = new Leadership({
      // A pod that is restarted is another candidate: its former life may have a request under way.
      identity: `${pod}_${randomBytes(4).toString('hex')}`,
      records: new LeaderLease(client, options.lease ?? `afterwrite-controller-${config.bus}`.replaceAll('_', '-'), {
        [LABEL.managedBy]: MANAGER,
        [LABEL.bus]: labelValue(config.bus),
      }),
      timing: ELECTION_TIMING,
      clock,
      random: Math.random,
      observer,
    });
    const places = new Map(
      regions.map((region) => [region.name, { redis: region.redis, key: keyspaceOf(config, region).gate }]),
    );
    const gates = new RedisRegionGates(places, `afterwrite-controller-${config.bus}`, config.warmup.ramp);
    const { shards, ttlSeconds, owner, onFailure, template: templatePath } = options;
    const controller = new Controller({
      regions: [...places.keys()],
      policy: { onFailure },
      seat: leadership,
      gates,
      jobs: new KubernetesJobs(client, { bus: config.bus, shards, templatePath, owner, ttlSeconds }),
      notices: new EventNotices(client, pod, () => clock.nowMs()),
      ...(options.pods === undefined ? {} : { pods: new KubernetesPods(client, options.pods, () => clock.nowMs()) }),
      timing: {
        ...CONTROLLER_TIMING,
        ...(options.pods === undefined ? {} : { relistMs: RELIST_WITH_PODS_MS }),
      },
      clock,
      random: Math.random,
      observer,
    });
    health.register('controller', (): Readiness => {
      const nowMs = clock.monotonicMs();
      const failure = observer.failure();
      if (leadership.heardMs === undefined || nowMs - leadership.heardMs > SILENT_MS)
        return notReady(failure ?? 'nothing is heard of the Kubernetes API server');
      if (leadership.permit() === undefined) return READY;
      if (controller.lookedMs === undefined || nowMs - controller.lookedMs > SILENT_MS)
        return notReady(failure ?? 'no look yet');
      return READY;
    });
    return new ControllerService(leadership, controller, async () => {
      await gates.close();
      await client.close();
    });
  });
}

/** The lease is given back only after the last act: the next leader begins at once. */
class ControllerService implements Service {
  readonly name = 'controller';
  readonly #leadership: Leadership;
  readonly #controller: Controller;
  readonly #close: () => Promise<void>;
  readonly #acting = new AbortController();
  readonly #leading = new AbortController();
  #acts: Promise<void> = Promise.resolve();
  #leads: Promise<void> = Promise.resolve();

  constructor(leadership: Leadership, controller: Controller, close: () => Promise<void>) {
    this.#leadership = leadership;
    this.#controller = controller;
    this.#close = close;
  }

  async run(stop: AbortSignal): Promise<void> {
    this.#acts = this.#controller.run(AbortSignal.any([stop, this.#acting.signal]));
    this.#leads = this.#leadership.run(AbortSignal.any([stop, this.#leading.signal]));
    try {
      await Promise.all([this.#acts, this.#leads]);
    } finally {
      await this.#close();
    }
  }

  async drain(): Promise<void> {
    this.#acting.abort();
    await this.#acts;
    this.#leading.abort();
    await this.#leads;
  }
}

function regionsOf(config: BusConfig, names: readonly string[]): RegionConfig[] {
  if (names.length === 0) return [...config.regions.values()];
  return names.map((name) => regionOf(config, name));
}
