import type { ServerResponse } from 'node:http';
import { matchesLabels } from './fake-labels.ts';
import { Refusal } from './fake-refusal.ts';
import type { Request } from './fake-request.ts';
import type { FakeStore, StoreChange } from './fake-store.ts';

interface Watcher {
  readonly response: ServerResponse;
  readonly request: Request;
}

/** The watches of an API server: each is told of what changes in its resource, its namespace and by its labels. */
export class FakeWatches {
  readonly #store: FakeStore;
  readonly #watchers = new Set<Watcher>();
  #isFrozen = false;

  constructor(store: FakeStore) {
    this.#store = store;
    store.onChange((change) => this.#publish(change));
  }

  /** How many are open now. */
  get open(): number {
    return this.#watchers.size;
  }

  /** They stay open and say nothing more, as over a connection that has died on the way. */
  freeze(): void {
    this.#isFrozen = true;
  }

  /** The connections have been broken. */
  forget(): void {
    this.#watchers.clear();
  }

  add(request: Request, response: ServerResponse): void {
    const { query, resource } = request;
    const from = Number(query.get('resourceVersion') ?? 0);
    response.writeHead(200, { 'content-type': 'application/json', 'transfer-encoding': 'chunked' });
    response.flushHeaders();
    if (from < this.#store.oldest && from > 0) {
      const gone = new Refusal(410, 'Expired', `too old resource version: ${from} (${this.#store.oldest})`);
      send(response, 'ERROR', gone.status);
      return void response.end();
    }
    const watcher = { request, response };
    const past =
      from === 0
        ? this.#store
            .list(resource.plural)
            .map((object): StoreChange => ({ type: 'ADDED', object, version: 0, resource: resource.plural }))
        : this.#store.since(from, resource.plural);
    for (const change of past) tell(watcher, change);
    this.#watchers.add(watcher);
    const seconds = Number(query.get('timeoutSeconds') ?? 300);
    const timer = setTimeout(() => response.end(), seconds * 1000);
    response.on('close', () => {
      clearTimeout(timer);
      this.#watchers.delete(watcher);
    });
  }

  #publish(change: StoreChange): void {
    if (this.#isFrozen) return;
    for (const watcher of this.#watchers)
      if (watcher.request.resource.plural === change.resource) tell(watcher, change);
  }
}

function tell({ request, response }: Watcher, { type, object }: StoreChange): void {
  const { namespace, query } = request;
  if (object.metadata.namespace !== namespace || !matchesLabels(object, query.get('labelSelector'))) return;
  send(response, type, object);
}

function send(response: ServerResponse, type: string, object: object): void {
  response.write(`${JSON.stringify({ type, object })}\n`);
}
