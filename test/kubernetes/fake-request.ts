import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Access } from './fake-access.ts';
import { Refusal } from './fake-refusal.ts';
import { type Resource, RESOURCES } from './fake-resources.ts';

/** What is asked of an API server. */
export interface Request {
  readonly user: string;
  readonly verb: string;
  readonly resource: Resource;
  readonly subresource: string | undefined;
  readonly namespace: string;
  readonly name: string | undefined;
  readonly query: URLSearchParams;
  readonly contentType: string;
  readonly body: unknown;
}

/** Reads a request. Throws a `Refusal` where no such thing is served, or nobody knows who asks. */
export async function readRequest(incoming: IncomingMessage, isUser: (name: string) => boolean): Promise<Request> {
  const text = await bodyOf(incoming);
  const url = new URL(incoming.url ?? '/', 'http://fake');
  const parts = url.pathname.split('/').slice(1).map(decodeURIComponent);
  const group = parts[0] === 'api' ? '' : (parts[1] ?? '');
  const [version, scope, namespace, plural, name, subresource] = parts.slice(parts[0] === 'api' ? 1 : 2);
  const resource = RESOURCES.find((one) => one.group === group && one.version === version && one.plural === plural);
  if (resource === undefined || scope !== 'namespaces' || namespace === undefined)
    throw new Refusal(404, 'NotFound', 'the server could not find the requested resource');
  const user = /^Bearer (.*)$/.exec(incoming.headers.authorization ?? '')?.[1];
  if (user === undefined || !isUser(user)) throw new Refusal(401, 'Unauthorized', 'Unauthorized');
  const query = url.searchParams;
  let body: unknown;
  try {
    body = text === '' ? undefined : JSON.parse(text);
  } catch {
    throw new Refusal(400, 'BadRequest', 'couldn’t get version/kind; json parse error');
  }
  const contentType = incoming.headers['content-type'] ?? '';
  return {
    user,
    verb: verbOf(incoming.method ?? 'GET', name, query),
    resource,
    subresource,
    namespace,
    name,
    query,
    contentType,
    body,
  };
}

export function accessOf({ verb, resource, subresource, name, namespace }: Request): Access {
  return {
    verb,
    group: resource.group,
    resource: subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`,
    name,
    namespace,
  };
}

function verbOf(method: string, name: string | undefined, query: URLSearchParams): string {
  if (method === 'GET') {
    if (name !== undefined) return 'get';
    return query.get('watch') === 'true' ? 'watch' : 'list';
  }
  const verbs: Readonly<Record<string, string>> = { POST: 'create', PUT: 'update', PATCH: 'patch', DELETE: 'delete' };
  return verbs[method] ?? method;
}

async function bodyOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  try {
    for await (const chunk of incoming) text += String(chunk);
  } catch {
    // The client has gone.
  }
  return text;
}

export function json(
  response: ServerResponse,
  code: number,
  object: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(code, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(object));
}

export function answer(response: ServerResponse, error: unknown): void {
  if (!(error instanceof Refusal)) throw error;
  const { retryAfterSeconds } = error;
  json(
    response,
    error.code,
    error.status,
    retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) },
  );
}
