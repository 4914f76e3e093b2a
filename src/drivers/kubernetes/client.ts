import { readFileSync } from 'node:fs';
import {
  AppsV1Api,
  BatchV1Api,
  CoordinationV1Api,
  CoreV1Api,
  EventsV1Api,
  KubeConfig,
  type ConfigurationOptions,
  Observable,
  type ObservableMiddleware,
  PatchStrategy,
} from '@kubernetes/client-node';
import type { LeaderPermit } from '../../controller/leader-permit.ts';
import { BusError } from '../../protocol/errors.ts';
import { memoiseDispatchers } from './dispatchers.ts';
import { kubernetesError } from './error.ts';

export interface KubernetesOptions {
  /** A kubeconfig file. Without one: KUBECONFIG, ~/.kube/config, or the pod's service account, in this order. */
  readonly kubeconfig?: string | undefined;
  /** Default: the kubeconfig's or the pod's own. */
  readonly namespace?: string | undefined;
}

export interface CallLimits {
  readonly timeoutMs?: number;
  readonly permit?: LeaderPermit;
  /** Without one the client sends JSON Patch, whatever the body is (`application/json-patch+json` stands first in its list). */
  readonly patch?: 'merge' | 'strategic';
  /** Sent as it is: the client drops what its models do not know, so that the server could not refuse a field that is misspelt. */
  readonly body?: object;
}

/** The API server's own limit of a request is a minute; nothing of ours takes long. */
const CALL_TIMEOUT_MS = 5000;

/** The API server, by the account that was given. Nothing is asked before the first call. */
export class KubernetesClient {
  readonly config: KubeConfig;
  readonly namespace: string;
  readonly batch: BatchV1Api;
  readonly coordination: CoordinationV1Api;
  readonly core: CoreV1Api;
  readonly events: EventsV1Api;
  readonly apps: AppsV1Api;
  readonly #closeDispatchers: () => Promise<void>;

  /** Throws `KUBERNETES_CONFIG_INVALID`. */
  constructor({ kubeconfig, namespace }: KubernetesOptions) {
    this.config = load(kubeconfig);
    this.#closeDispatchers = memoiseDispatchers(this.config);
    this.namespace = namespace ?? ownNamespace(this.config);
    this.batch = this.config.makeApiClient(BatchV1Api);
    this.coordination = this.config.makeApiClient(CoordinationV1Api);
    this.core = this.config.makeApiClient(CoreV1Api);
    this.events = this.config.makeApiClient(EventsV1Api);
    this.apps = this.config.makeApiClient(AppsV1Api);
  }

  /**
   * One request, with a limit of its own and, where it acts for the leader, the permit's: asked as the last thing before the request leaves,
   * since the process may have been stopped since. Throws `KUBERNETES_*`, `LEADERSHIP_LOST`.
   */
  async call<T>(what: string, limits: CallLimits, request: (options: ConfigurationOptions) => Promise<T>): Promise<T> {
    const { permit, patch, body, timeoutMs = CALL_TIMEOUT_MS } = limits;
    const end = new AbortController();
    let timer: NodeJS.Timeout | undefined;
    const leaves: ObservableMiddleware['pre'] = (context) => {
      const leftMs = permit?.remainingMs() ?? Number.POSITIVE_INFINITY;
      if (leftMs <= 0) throw new BusError('LEADERSHIP_LOST', `The permit ran out before: ${what}.`, { at: what });
      timer = setTimeout(() => end.abort(new Error('no answer in time')), Math.min(timeoutMs, leftMs));
      context.setSignal(end.signal);
      if (body !== undefined) context.setBody(JSON.stringify(body));
      if (patch !== undefined)
        context.setHeaderParam(
          'Content-Type',
          patch === 'merge' ? PatchStrategy.MergePatch : PatchStrategy.StrategicMergePatch,
        );
      return resolved(context);
    };
    try {
      return await request({ middleware: [{ pre: leaves, post: (answer) => resolved(answer) }] });
    } catch (error) {
      throw kubernetesError(error, what);
    } finally {
      clearTimeout(timer);
    }
  }

  async close(): Promise<void> {
    await this.#closeDispatchers();
  }
}

/** The generated clients pass an Observable of their own from step to step. */
function resolved<T>(value: T): Observable<T> {
  return new Observable(Promise.resolve(value));
}

function load(kubeconfig: string | undefined): KubeConfig {
  const config = new KubeConfig();
  try {
    if (kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
  } catch (cause) {
    throw new BusError('KUBERNETES_CONFIG_INVALID', `The kubeconfig cannot be read: ${(cause as Error).message}`, {
      cause,
      ...(kubeconfig === undefined ? {} : { at: kubeconfig }),
    });
  }
  if (config.getCurrentCluster() === null)
    throw new BusError('KUBERNETES_CONFIG_INVALID', 'The kubeconfig names no current context.');
  return config;
}

const NAMESPACE_FILE = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

function ownNamespace(config: KubeConfig): string {
  const ofContext = config.getContextObject(config.getCurrentContext())?.namespace;
  if (ofContext !== undefined && ofContext !== '') return ofContext;
  try {
    return readFileSync(NAMESPACE_FILE, 'utf8').trim();
  } catch {
    return 'default';
  }
}
