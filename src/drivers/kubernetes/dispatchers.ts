import type { Agent } from 'node:https';
import type { Cluster, KubeConfig } from '@kubernetes/client-node';

interface Dispatcher {
  close(): Promise<void>;
  destroy(): Promise<void>;
}

/** As 2.0.1 has it: called for each request, and each time with a new pool of connections, of which nobody closes one. */
interface DispatcherMaker {
  createDispatcher(cluster: Cluster | null, options: Agent['options']): Dispatcher | undefined;
}

/**
 * Has a kubeconfig keep one pool of connections for as long as its certificates are the same: they are read anew for each request, and change when
 * they are rotated. Returns what closes it.
 */
export function memoiseDispatchers(config: KubeConfig): () => Promise<void> {
  const maker = config as unknown as DispatcherMaker;
  const create = maker.createDispatcher.bind(config);
  let kept: { readonly key: string; readonly dispatcher: Dispatcher | undefined } | undefined;
  maker.createDispatcher = (cluster, options) => {
    const key = JSON.stringify([cluster?.server, cluster?.proxyUrl, options]);
    if (kept?.key === key) return kept.dispatcher;
    // What is under way on the old pool is finished there.
    kept?.dispatcher?.close().catch(() => undefined);
    kept = { key, dispatcher: create(cluster, options) };
    return kept.dispatcher;
  };
  return async () => {
    await kept?.dispatcher?.destroy();
    kept = undefined;
  };
}
