import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Controller, CONTROLLER_TIMING, type ControllerTiming } from '../../src/controller/controller.ts';
import type { Act, Policy } from '../../src/controller/decide.ts';
import { ELECTION_TIMING } from '../../src/controller/election.ts';
import { Leadership } from '../../src/controller/leadership.ts';
import type { ActOutcome, ControllerObserver } from '../../src/controller/observe.ts';
import { KubernetesClient } from '../../src/drivers/kubernetes/client.ts';
import { KubernetesJobs } from '../../src/drivers/kubernetes/jobs.ts';
import { LeaderLease } from '../../src/drivers/kubernetes/leader-lease.ts';
import { EventNotices } from '../../src/drivers/kubernetes/notices.ts';
import { KubernetesPods } from '../../src/drivers/kubernetes/pods.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { isAllowed, readRole, type RoleRule } from './fake-access.ts';
import { FakeApi } from './fake-api.ts';
import type { KubeObject } from './fake-store.ts';
import { FastClock } from './fast-clock.ts';
import { JobController } from './job-controller.ts';
import { MemoryGates } from './memory-gates.ts';
import { ProcessKubelet } from './process-kubelet.ts';
import { kubeconfigText } from './real-api.ts';

export const ROLE: readonly RoleRule[] = readRole(new URL('./role.yaml', import.meta.url));
export const NAMESPACE = 'caches';
export const BUS = 'shop';
/** Fifteen seconds of an election are one and a half. */
const RATE = 10;

export const TEMPLATE = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  spec: {
    template: { spec: { containers: [{ name: 'warm', image: 'example.invalid/afterwrite', command: ['true'] }] } },
  },
};

export interface ControllerRun {
  readonly user: string;
  readonly leadership: Leadership;
  readonly controller: Controller;
  /** What it did, in order. */
  readonly acts: { readonly act: Act; readonly outcome: ActOutcome }[];
  readonly failures: string[];
  readonly watchEnds: string[];
  /** How many looks it has made. */
  looks: number;
  /** As a drain does. */
  stop(): Promise<void>;
}

export interface RunOptions {
  /** What it may do. */
  readonly rules?: readonly RoleRule[];
  readonly regions?: readonly string[];
  readonly policy?: Policy;
  readonly template?: object;
  readonly shards?: number;
  readonly ttlSeconds?: number;
  readonly clock?: Clock;
  readonly timing?: Partial<ControllerTiming>;
  /** How long its lease lasts for others. */
  readonly leaseMs?: number;
  readonly hasPods?: boolean;
  readonly gates?: MemoryGates;
  /** Of another API server than the fake. */
  readonly client?: KubernetesClient;
}

/** A fake API server, with the controller's Role, and controllers on it. */
export class ControllerLab {
  readonly api = new FakeApi();
  readonly gates = new MemoryGates();
  readonly #closing = Promise.withResolvers<void>();
  readonly #folder = mkdtempSync(join(tmpdir(), 'afterwrite-controller-'));
  readonly #runs: ControllerRun[] = [];
  readonly #closers: (() => void | Promise<void>)[] = [];
  #files = 0;

  async start(): Promise<void> {
    await this.api.start();
    this.api.store.create('configmaps', {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'afterwrite-warmup', namespace: NAMESPACE },
    });
  }

  /** Has Jobs run as processes of this machine. */
  runJobs(): ProcessKubelet {
    const jobs = new JobController(this.api);
    const kubelet = new ProcessKubelet(this.api);
    this.#closers.push(
      () => jobs.close(),
      () => kubelet.close(),
    );
    return kubelet;
  }

  /** Resolves at the end of the test: for requests that are held for ever. */
  get closing(): Promise<void> {
    return this.#closing.promise;
  }

  client(user: string): KubernetesClient {
    const kubeconfig = this.file(kubeconfigText(this.api.url, user, NAMESPACE));
    const client = new KubernetesClient({ kubeconfig });
    this.#closers.push(() => client.close());
    return client;
  }

  file(text: string): string {
    const path = join(this.#folder, `file-${this.#files++}`);
    writeFileSync(path, text);
    return path;
  }

  run(user = 'controller', options: RunOptions = {}): ControllerRun {
    this.api.addUser(user, options.rules ?? ROLE);
    const client = options.client ?? this.client(user);
    const clock = options.clock ?? new FastClock(RATE);
    const run: ControllerRun = {
      user,
      acts: [],
      failures: [],
      watchEnds: [],
      looks: 0,
      leadership: undefined as never,
      controller: undefined as never,
      stop: async () => {
        acting.abort();
        await acts;
        leading.abort();
        await leads;
      },
    };
    const failed = (error: unknown): void => void run.failures.push(isBusError(error) ? error.code : String(error));
    const observer: ControllerObserver = {
      leading: () => undefined,
      following: () => undefined,
      electionFailed: failed,
      looked: () => void (run.looks += 1),
      lookFailed: failed,
      acted: (act, outcome) => void run.acts.push({ act, outcome }),
      watchEnded: (reason) => void run.watchEnds.push(reason),
    };
    const leadership = new Leadership({
      identity: user,
      records: new LeaderLease(client, `afterwrite-controller-${BUS}`, {}),
      timing: { ...ELECTION_TIMING, durationMs: options.leaseMs ?? ELECTION_TIMING.durationMs },
      clock,
      random: Math.random,
      observer,
    });
    const controller = new Controller({
      regions: options.regions ?? ['eu'],
      policy: options.policy ?? { onFailure: 'hold' },
      seat: leadership,
      gates: options.gates ?? this.gates,
      jobs: new KubernetesJobs(client, {
        bus: BUS,
        shards: options.shards ?? 1,
        ttlSeconds: options.ttlSeconds ?? 3600,
        templatePath: this.file(stringify(options.template ?? TEMPLATE)),
        owner: 'configmap/afterwrite-warmup',
      }),
      notices: new EventNotices(client, user, () => clock.nowMs()),
      ...(options.hasPods === true ? { pods: new KubernetesPods(client, client.namespace, () => clock.nowMs()) } : {}),
      timing: { ...CONTROLLER_TIMING, ...options.timing },
      clock,
      random: Math.random,
      observer,
    });
    Object.assign(run, { leadership, controller });
    const acting = new AbortController();
    const leading = new AbortController();
    const acts = controller.run(acting.signal);
    const leads = leadership.run(leading.signal);
    // Told at the end, by `stop`.
    for (const life of [acts, leads]) life.catch(() => undefined);
    this.#runs.push(run);
    return run;
  }

  jobs(): KubeObject[] {
    return this.api.store.list('jobs', NAMESPACE);
  }

  /** How often somebody was told a reason. */
  notices(reason: string): KubeObject[] {
    return this.api.store.list('events', NAMESPACE).filter((event) => event['reason'] === reason);
  }

  /** Marks a Job as the Job controller does. */
  end(name: string, type: 'Complete' | 'Failed', reason = 'FailedIndexes'): void {
    const job = this.api.store.get('jobs', NAMESPACE, name);
    if (job === undefined) throw new Error(`There is no Job ${name}.`);
    this.api.store.update('jobs', {
      ...job,
      status: { conditions: [{ type, status: 'True', reason, message: 'told by the test.' }] },
    });
  }

  async close(): Promise<void> {
    this.#closing.resolve();
    this.api.unscript();
    const stopped = await Promise.allSettled(this.#runs.map((run) => run.stop()));
    for (const close of this.#closers.toReversed()) await close();
    await this.api.stop();
    rmSync(this.#folder, { recursive: true, force: true });
    for (const one of stopped) if (one.status === 'rejected') throw one.reason;
    const beyond = this.api.served.filter((request) => request.status === 403 && !isAllowed(ROLE, request));
    if (beyond.length > 0)
      throw new Error(
        `Asked for beyond the Role: ${beyond.map(({ verb, resource, name }) => `${verb} ${resource} ${name ?? ''}`).join()}`,
      );
  }
}

/** A lab for one test. */
export async function openLab(t: { after(close: () => Promise<void>): void }): Promise<ControllerLab> {
  const lab = new ControllerLab();
  await lab.start();
  t.after(() => lab.close());
  return lab;
}
