/** An object as the API server keeps it. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace: string;
    uid: string;
    resourceVersion: string;
    creationTimestamp: string;
    generation?: number;
    deletionTimestamp?: string;
    finalizers?: string[];
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    ownerReferences?: { kind: string; name: string; uid: string }[];
  };
  spec?: Record<string, unknown>;
  status?: Record<string, unknown>;
  [field: string]: unknown;
}

export interface StoreChange {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly resource: string;
  readonly object: KubeObject;
}

/** What stands behind an API server: objects, one count of versions for all of them, and a history that can be forgotten. */
export class FakeStore {
  readonly #objects = new Map<string, KubeObject>();
  readonly #listeners = new Set<(change: StoreChange) => void>();
  #history: StoreChange[] = [];
  #version = 100;
  #oldest = 0;
  #uids = 0;

  get version(): number {
    return this.#version;
  }

  /** The first version that a watch may begin at. */
  get oldest(): number {
    return this.#oldest;
  }

  get(resource: string, namespace: string, name: string): KubeObject | undefined {
    return structuredClone(this.#objects.get(key(resource, namespace, name)));
  }

  list(resource: string, namespace?: string): KubeObject[] {
    return [...this.#objects]
      .filter(([at]) => at.startsWith(namespace === undefined ? `${resource}/` : `${resource}/${namespace}/`))
      .map(([, object]) => structuredClone(object))
      .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
  }

  create(
    resource: string,
    object: Omit<KubeObject, 'metadata'> & { metadata: Partial<KubeObject['metadata']> },
  ): KubeObject {
    const version = ++this.#version;
    const made = {
      ...structuredClone(object),
      metadata: {
        ...structuredClone(object.metadata),
        uid: uidOf(++this.#uids),
        resourceVersion: String(version),
        creationTimestamp: now(),
        generation: 1,
      },
    } as KubeObject;
    this.#objects.set(keyOf(resource, made), made);
    this.#tell({ version, type: 'ADDED', resource, object: made });
    return structuredClone(made);
  }

  /** Writes nothing where nothing is different, as the API server does. */
  update(resource: string, object: KubeObject): KubeObject {
    const before = this.#objects.get(keyOf(resource, object));
    if (before === undefined) throw new Error(`${resource} ${object.metadata.name} is not there.`);
    const wanted = structuredClone(object);
    wanted.metadata.resourceVersion = before.metadata.resourceVersion;
    if (JSON.stringify(wanted) === JSON.stringify(before)) return structuredClone(before);
    const version = ++this.#version;
    wanted.metadata.resourceVersion = String(version);
    this.#objects.set(keyOf(resource, wanted), wanted);
    this.#tell({ version, type: 'MODIFIED', resource, object: wanted });
    return structuredClone(wanted);
  }

  remove(resource: string, object: KubeObject): void {
    if (!this.#objects.delete(keyOf(resource, object))) return;
    const version = ++this.#version;
    const last = structuredClone(object);
    last.metadata.resourceVersion = String(version);
    this.#tell({ version, type: 'DELETED', resource, object: last });
  }

  since(version: number, resource: string): StoreChange[] {
    return this.#history.filter((change) => change.version > version && change.resource === resource);
  }

  /** Forgets all history, as etcd does after some minutes. */
  compact(): void {
    this.#oldest = this.#version;
    this.#history = [];
  }

  onChange(listener: (change: StoreChange) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  #tell(change: StoreChange): void {
    const told = structuredClone(change);
    this.#history.push(told);
    for (const listener of this.#listeners) listener(told);
  }
}

function key(resource: string, namespace: string, name: string): string {
  return `${resource}/${namespace}/${name}`;
}

function keyOf(resource: string, { metadata }: KubeObject): string {
  return key(resource, metadata.namespace, metadata.name);
}

function uidOf(number: number): string {
  const hex = number.toString(16).padStart(8, '0');
  return `${hex}-0000-4000-8000-${hex.padStart(12, '0')}`;
}

/** Whole seconds, as `metav1.Time` is written. */
export function now(): string {
  return new Date().toISOString().replace(/\.\d+Z$/, 'Z');
}
