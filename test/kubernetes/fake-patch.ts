import { Refusal } from './fake-refusal.ts';
import type { Resource } from './fake-resources.ts';

type Json = Record<string, unknown>;

/** Applies a patch as its content type says. JSON Patch is a list of operations, and what is none is a bad request. */
export function patched(resource: Resource, target: object, patch: unknown, contentType: string): object {
  switch (contentType.split(';')[0]?.trim() ?? '') {
    case 'application/json-patch+json':
      if (!Array.isArray(patch))
        throw new Refusal(400, 'BadRequest', 'json: cannot unmarshal object into Go value of type jsonpatch.Patch');
      return (patch as Operation[]).reduce((object, operation) => applied(object, operation), structuredClone(target));
    case 'application/merge-patch+json':
      return merged(target as Json, patch as Json, '', {});
    case 'application/strategic-merge-patch+json':
      return merged(target as Json, patch as Json, '', resource.mergeKeys ?? {});
    default:
      throw new Refusal(
        415,
        'UnsupportedMediaType',
        'the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json',
      );
  }
}

/** RFC 7386; with `keys`, lists at those paths are merged item by item, as Kubernetes's strategic merge does. */
function merged(target: Json, patch: Json, path: string, keys: Readonly<Record<string, string>>): Json {
  const result: Json = structuredClone(target);
  for (const [name, value] of Object.entries(patch)) {
    const at = path === '' ? name : `${path}.${name}`;
    const before = result[name];
    const key = keys[at];
    if (value === null) delete result[name];
    else if (key !== undefined && Array.isArray(value))
      result[name] = mergedList((before ?? []) as Json[], value as Json[], key);
    else if (typeof value === 'object' && !Array.isArray(value))
      result[name] = merged(isObject(before) ? before : {}, value as Json, at, keys);
    else result[name] = structuredClone(value);
  }
  return result;
}

function mergedList(before: readonly Json[], patch: readonly Json[], key: string): Json[] {
  const result = before.map((item) => ({ ...item }));
  for (const item of patch) {
    const known = result.find((one) => one[key] === item[key]);
    if (known === undefined) result.push({ ...item });
    else Object.assign(known, item);
  }
  return result;
}

interface Operation {
  readonly op: string;
  readonly path: string;
  readonly value?: unknown;
}

/** RFC 6902, as far as anyone here needs it: add, replace, remove and test of a member. */
function applied(target: object, { op, path, value }: Operation): object {
  const parts = path
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  const last = parts.pop() ?? '';
  let holder = target as Json;
  for (const part of parts) {
    if (!isObject(holder[part])) throw new Refusal(422, 'Invalid', `the path ${path} does not exist`);
    holder = holder[part];
  }
  if (op === 'test') {
    if (JSON.stringify(holder[last]) !== JSON.stringify(value))
      throw new Refusal(422, 'Invalid', `testing ${path} failed`);
  } else if (op === 'remove') delete holder[last];
  else holder[last] = value;
  return target;
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
