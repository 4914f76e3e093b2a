import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { KubernetesClient } from '../../src/drivers/kubernetes/client.ts';
import { type ControllerRun, runController, type RunSettings } from './controller-run.ts';
import { type GrantedRule, isAllowed } from './fake-access.ts';
import { FakeApi } from './fake-api.ts';
import type { KubeObject } from './fake-store.ts';
import { NAMESPACE, OWNER_NAME, ROLE } from './installed.ts';
import { JobController } from './job-controller.ts';
import { MemoryGates } from './memory-gates.ts';
import { ProcessKubelet } from './process-kubelet.ts';
import { kubeconfigText } from './real-api.ts';

export const TEMPLATE = {
  apiVersion: 'batch/v1',
  kind: 'Job',
  spec: {
    template: { spec: { containers: [{ name: 'warm', image: 'example.invalid/afterwrite', command: ['true'] }] } },
  },
};

export interface RunOptions extends RunSettings {
  /** What it may do. */
  readonly rules?: readonly GrantedRule[];
  readonly template?: object;
  /** Of another API server than the fake. */
  readonly client?: KubernetesClient;
}

/** A fake API server, with the Role that the chart gives the controller, and controllers on it. */
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
      metadata: { name: OWNER_NAME, namespace: NAMESPACE },
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
    const run = runController(
      {
        user,
        client: options.client ?? this.client(user),
        gates: this.gates,
        templatePath: this.file(stringify(options.template ?? TEMPLATE)),
      },
      options,
    );
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
