import { type ChildProcess, spawn } from 'node:child_process';
import type { FakeApi } from './fake-api.ts';
import { type KubeObject, now } from './fake-store.ts';

interface Container {
  readonly command: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
}

/** Runs the pods of a fake API server as processes of this machine: the first container's command, with its environment. A pod that is deleted is ended. */
export class ProcessKubelet {
  readonly #api: FakeApi;
  readonly #processes = new Map<string, ChildProcess>();
  readonly #disrupted = new Set<string>();
  readonly #stop: () => void;

  constructor(api: FakeApi) {
    this.#api = api;
    this.#stop = api.store.onChange(({ resource, type, object }) => {
      if (resource !== 'pods') return;
      const { uid } = object.metadata;
      if (type === 'DELETED') this.#processes.get(uid)?.kill('SIGKILL');
      else if (object.status?.['phase'] === 'Pending' && !this.#processes.has(uid)) this.#start(object);
    });
  }

  async close(): Promise<void> {
    this.#stop();
    const running = [...this.#processes.values()].filter(
      (child) => child.exitCode === null && child.signalCode === null,
    );
    await Promise.all(
      running.map((child) => new Promise<void>((resolve) => child.once('close', () => resolve()).kill('SIGKILL'))),
    );
  }

  /** Ends a pod as the drain of its node does: the API server says of it that it was to be, and its process gets SIGTERM. */
  disrupt(pod: KubeObject): void {
    this.#disrupted.add(pod.metadata.uid);
    this.#processes.get(pod.metadata.uid)?.kill('SIGTERM');
  }

  #start(pod: KubeObject): void {
    const [container] = (pod.spec?.['containers'] ?? []) as Container[];
    const env = Object.fromEntries((container?.env ?? []).map(({ name, value }) => [name, value ?? '']));
    const line = [...(container?.command ?? ['false']), ...(container?.args ?? [])];
    const [command = '', ...args] = line.map((word) => expanded(word, env));
    const child = spawn(command, args, {
      env: {
        PATH: process.env['PATH'],
        ...env,
        JOB_COMPLETION_INDEX: pod.metadata.annotations?.['batch.kubernetes.io/job-completion-index'],
      },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#processes.set(pod.metadata.uid, child);
    child.once('spawn', () => this.#say(pod, { phase: 'Running' }));
    child.once('error', () => this.#say(pod, { phase: 'Failed', exitCode: 127 }));
    child.once('close', (code, signal) => {
      const exitCode = code ?? (signal === 'SIGTERM' ? 143 : 137);
      const conditions = this.#disrupted.has(pod.metadata.uid)
        ? {
            conditions: [
              { type: 'DisruptionTarget', status: 'True', reason: 'EvictionByEvictionAPI', lastTransitionTime: now() },
            ],
          }
        : {};
      this.#say(pod, { phase: exitCode === 0 ? 'Succeeded' : 'Failed', exitCode, ...conditions });
    });
  }

  #say({ metadata }: KubeObject, status: Record<string, unknown>): void {
    const pod = this.#api.store.get('pods', metadata.namespace, metadata.name);
    if (pod !== undefined && pod.metadata.uid === metadata.uid) this.#api.store.update('pods', { ...pod, status });
  }
}

/** `$(NAME)` stands for a variable of the container, and for itself where there is none, as Kubernetes has it. */
function expanded(word: string, env: Readonly<Record<string, string>>): string {
  return word.replaceAll(/\$\((\w+)\)/g, (reference, name: string) => env[name] ?? reference);
}
