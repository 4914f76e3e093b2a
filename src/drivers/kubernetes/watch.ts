import { Watch } from '@kubernetes/client-node';
import type { WatchEnd } from '../../controller/warmup-jobs.ts';
import type { KubernetesClient } from './client.ts';
import { kubernetesError, type KubernetesStatus, statusError } from './error.ts';

export interface WatchRequest {
  readonly path: string;
  readonly labelSelector: string;
  readonly version: string;
  readonly changed: (version: string) => void;
  readonly stop: AbortSignal;
}

/** The server closes by itself before the client, which takes 30 s without a byte for a dead connection (`requestTimeoutMs` of its Watch). */
const SERVER_CLOSES_SECONDS = 25;

/**
 * Watches until the server closes, or says that the history is gone: as the status of its answer, or in the stream. Bookmarks move the version on and
 * tell of no change. Throws `KUBERNETES_*`; a connection that dies without a word is one that the client ends after 30 s.
 */
export async function watchChanges(client: KubernetesClient, request: WatchRequest): Promise<WatchEnd> {
  const { path, labelSelector, changed, stop } = request;
  const what = `watch ${path}`;
  const end = Promise.withResolvers<WatchEnd>();
  const told = (type: string, object: unknown): void => {
    if (type === 'ERROR') {
      const status = (object ?? {}) as KubernetesStatus;
      const error = statusError(status.code ?? 500, status, {}, what);
      if (error.code === 'KUBERNETES_HISTORY_GONE') end.resolve('gone');
      else end.reject(error);
      return;
    }
    const version = (object as { metadata?: { resourceVersion?: string } }).metadata?.resourceVersion;
    if (version !== undefined && type !== 'BOOKMARK') changed(version);
  };
  const done = (failure: unknown): void => {
    if (failure === null || failure === undefined || stop.aborted) return end.resolve('closed');
    const error = kubernetesError(failure, what);
    if (error.code === 'KUBERNETES_HISTORY_GONE') end.resolve('gone');
    else end.reject(error);
  };
  const query = {
    labelSelector,
    resourceVersion: request.version,
    allowWatchBookmarks: true,
    timeoutSeconds: SERVER_CLOSES_SECONDS,
  };
  // It comes back once the server has answered, which may be never.
  const running = new Watch(client.config).watch(path, query, told, done);
  running.catch((error: unknown) => end.reject(kubernetesError(error, what)));
  const abort = (): void => {
    running.then((connection) => connection.abort()).catch(() => undefined);
    end.resolve('closed');
  };
  stop.addEventListener('abort', abort, { once: true });
  if (stop.aborted) abort();
  try {
    return await end.promise;
  } finally {
    stop.removeEventListener('abort', abort);
    abort();
  }
}
