import { matchesLabels } from './fake-labels.ts';
import { patched } from './fake-patch.ts';
import { Refusal } from './fake-refusal.ts';
import type { Request } from './fake-request.ts';
import { apiVersionOf, checkObject, invalid, type Resource, RESOURCES } from './fake-resources.ts';
import { type FakeStore, type KubeObject, now } from './fake-store.ts';

/** What an API server does with objects: the verbs but `watch`, by the rules that matter to us. */
export class FakeObjects {
  readonly #store: FakeStore;

  constructor(store: FakeStore) {
    this.#store = store;
  }

  /** Throws a `Refusal`. */
  do(request: Request): { readonly code: number; readonly object: object } {
    switch (request.verb) {
      case 'get':
        return { code: 200, object: this.#existing(request) };
      case 'list':
        return { code: 200, object: this.#list(request) };
      case 'create':
        return { code: 201, object: this.#create(request) };
      case 'update':
        return { code: 200, object: this.#update(request) };
      case 'patch':
        return { code: 200, object: this.#patch(request) };
      case 'delete':
        return { code: 200, object: this.#delete(request) };
      default:
        throw new Refusal(405, 'MethodNotAllowed', `the server does not allow ${request.verb}`);
    }
  }

  #existing({ resource, namespace, name }: Request): KubeObject {
    const object = this.#store.get(resource.plural, namespace, name ?? '');
    if (object !== undefined) return object;
    throw new Refusal(
      404,
      'NotFound',
      `${resource.plural}${resource.group === '' ? '' : `.${resource.group}`} "${name}" not found`,
    );
  }

  #list({ resource, namespace, query }: Request): object {
    const objects = this.#store
      .list(resource.plural, namespace)
      .filter((object) => matchesLabels(object, query.get('labelSelector')));
    const from = Number(query.get('continue') ?? 0);
    const limit = Number(query.get('limit') ?? 0);
    const items = limit > 0 ? objects.slice(from, from + limit) : objects;
    const next = from + items.length;
    return {
      kind: `${resource.kind}List`,
      apiVersion: apiVersionOf(resource),
      metadata: {
        resourceVersion: String(this.#store.version),
        ...(limit > 0 && next < objects.length
          ? { continue: String(next), remainingItemCount: objects.length - next }
          : {}),
      },
      items,
    };
  }

  #create({ resource, namespace, body, query }: Request): KubeObject {
    const object = objectOf(resource, namespace, body);
    if ((object.metadata.resourceVersion ?? '') !== '')
      throw new Refusal(500, 'InternalError', 'resourceVersion should not be set on objects to be created');
    checkObject(resource, object, query.get('fieldValidation') === 'Strict');
    if (this.#store.get(resource.plural, namespace, object.metadata.name) !== undefined)
      throw new Refusal(409, 'AlreadyExists', `${resource.plural} "${object.metadata.name}" already exists`);
    // A Job begins without a status, whatever is sent.
    if (resource.hasStatus === true && resource.kind === 'Job') delete object.status;
    return this.#store.create(resource.plural, object);
  }

  #update(request: Request): KubeObject {
    const { resource, namespace, body, query } = request;
    const before = this.#existing(request);
    const object = objectOf(resource, namespace, body);
    const version = object.metadata.resourceVersion ?? '';
    if (version === '' && !resource.takesUnconditionalUpdates)
      throw new Refusal(422, 'Invalid', 'metadata.resourceVersion: Invalid value: 0: must be specified for an update');
    if (version !== '' && version !== before.metadata.resourceVersion) throw modified(resource, before);
    checkObject(resource, object, query.get('fieldValidation') === 'Strict');
    return this.#write(request, before, object);
  }

  #patch(request: Request): KubeObject {
    const { resource, body, contentType, query } = request;
    const before = this.#existing(request);
    const after = patched(resource, before, body, contentType) as KubeObject;
    if (after.metadata.uid !== before.metadata.uid)
      throw invalid(resource.kind, before, 'metadata.uid', 'field is immutable');
    if (after.metadata.resourceVersion !== before.metadata.resourceVersion) throw modified(resource, before);
    checkObject(resource, after, query.get('fieldValidation') === 'Strict');
    return this.#write(request, before, after);
  }

  /** A status is written by its own path only, and by that path nothing but it. */
  #write({ resource, subresource }: Request, before: KubeObject, after: KubeObject): KubeObject {
    if (subresource === 'status')
      return this.#store.update(resource.plural, {
        ...before,
        ...(after.status === undefined ? {} : { status: after.status }),
      });
    const { metadata, ...rest } = after;
    const kept = { ...metadata, uid: before.metadata.uid, creationTimestamp: before.metadata.creationTimestamp };
    const object = { ...rest, metadata: kept } as KubeObject;
    if (resource.hasStatus === true) {
      if (before.status === undefined) delete object.status;
      else object.status = before.status;
    }
    return this.#store.update(resource.plural, object);
  }

  #delete(request: Request): object {
    const { resource, query, body } = request;
    const before = this.#existing(request);
    const options = (body ?? {}) as { propagationPolicy?: string; preconditions?: { uid?: string } };
    const uid = options.preconditions?.uid;
    if (uid !== undefined && uid !== before.metadata.uid)
      throw new Refusal(
        409,
        'Conflict',
        `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${before.metadata.uid}`,
      );
    const policy = options.propagationPolicy ?? query.get('propagationPolicy') ?? resource.deletion;
    if (policy === 'Background' && (before.metadata.finalizers ?? []).length === 0) {
      this.#store.remove(resource.plural, before);
      this.#collect(before);
      return {
        kind: 'Status',
        apiVersion: 'v1',
        metadata: {},
        status: 'Success',
        details: { name: before.metadata.name, uid: before.metadata.uid },
      };
    }
    // The others wait for the garbage collector, which takes the finalizer away.
    const finalizer = policy === 'Orphan' ? ['orphan'] : policy === 'Foreground' ? ['foregroundDeletion'] : [];
    before.metadata.finalizers = [...(before.metadata.finalizers ?? []), ...finalizer];
    before.metadata.deletionTimestamp ??= now();
    const leaving = this.#store.update(resource.plural, before);
    setImmediate(() => this.#finish(resource, leaving, policy));
    return leaving;
  }

  #finish(resource: Resource, leaving: KubeObject, policy: string): void {
    const at = this.#store.get(resource.plural, leaving.metadata.namespace, leaving.metadata.name);
    if (at === undefined || at.metadata.uid !== leaving.metadata.uid) return;
    const rest = (at.metadata.finalizers ?? []).filter((one) => one !== 'orphan' && one !== 'foregroundDeletion');
    if (rest.length > 0) return;
    if (policy !== 'Orphan') this.#collect(at);
    this.#store.remove(resource.plural, at);
  }

  /** What it owned goes with it. */
  #collect(owner: KubeObject): void {
    for (const { plural } of RESOURCES)
      for (const object of this.#store.list(plural))
        if (object.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) === true) {
          this.#store.remove(plural, object);
          this.#collect(object);
        }
  }
}

function objectOf(resource: Resource, namespace: string, body: unknown): KubeObject {
  const object = structuredClone(body ?? {}) as KubeObject;
  if (object.kind !== resource.kind || object.apiVersion !== apiVersionOf(resource))
    throw new Refusal(
      400,
      'BadRequest',
      `${resource.kind} in version "${resource.version}" cannot be handled: no match for kind "${object.kind}"`,
    );
  object.metadata = { ...object.metadata };
  if ((object.metadata.namespace ?? namespace) !== namespace)
    throw new Refusal(
      400,
      'BadRequest',
      'the namespace of the provided object does not match the namespace sent on the request',
    );
  object.metadata.namespace = namespace;
  return object;
}

function modified(resource: Resource, { metadata }: KubeObject): Refusal {
  return new Refusal(
    409,
    'Conflict',
    `Operation cannot be fulfilled on ${resource.plural} "${metadata.name}": the object has been modified; please apply your changes to the latest version and try again`,
  );
}
