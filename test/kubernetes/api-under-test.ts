import { type IncomingMessage, request as httpRequest } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import { createInterface } from 'node:readline';
import type { RoleRule } from './fake-access.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: ApiObject;
}

/** As much of an answer as is looked at. */
export interface ApiObject {
  readonly kind?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly metadata?: {
    readonly name?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly continue?: string;
    readonly finalizers?: readonly string[];
    readonly deletionTimestamp?: string;
  };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
  readonly items?: readonly ApiObject[];
}

export interface WatchLine {
  readonly type: string;
  readonly object: ApiObject & { readonly code?: number };
}

/** An API server, by plain HTTP: what our client makes of it is not the question. */
export interface ApiUnderTest {
  /** Empty, and this suite's own. */
  readonly namespace: string;
  /** As one who may do anything. */
  send(request: ApiRequest): Promise<ApiAnswer>;
  /** As somebody who has just these rules in the namespace. */
  sendAs(rules: readonly RoleRule[], request: ApiRequest): Promise<ApiAnswer>;
  /** The lines of a watch until `until` is satisfied or the server closes, and how it answered. */
  watch(path: string, until: (lines: readonly WatchLine[]) => boolean): Promise<{ status: number; lines: WatchLine[] }>;
  /** Has it forget its history up to now; returns false where that cannot be asked of it. */
  compact(): Promise<boolean>;
  close(): Promise<void>;
}

/** How a server is spoken to. */
export interface ApiConnection {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Certificates, where it speaks TLS. */
  readonly tls?: RequestOptions;
}

export async function sendTo(to: ApiConnection, request: ApiRequest): Promise<ApiAnswer> {
  const response = await opened(to, request);
  let text = '';
  for await (const chunk of response.setEncoding('utf8')) text += String(chunk);
  const body = text === '' ? {} : (JSON.parse(text) as ApiObject);
  return { status: response.statusCode ?? 0, body };
}

export async function watchAt(
  to: ApiConnection,
  path: string,
  until: (lines: readonly WatchLine[]) => boolean,
): Promise<{ status: number; lines: WatchLine[] }> {
  const response = await opened(to, { method: 'GET', path });
  const lines: WatchLine[] = [];
  for await (const line of createInterface(response)) {
    lines.push(JSON.parse(line) as WatchLine);
    if (until(lines)) break;
  }
  response.destroy();
  return { status: response.statusCode ?? 0, lines };
}

function opened({ url, headers, tls }: ApiConnection, request: ApiRequest): Promise<IncomingMessage> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest;
  const body = request.body === undefined ? undefined : JSON.stringify(request.body);
  return new Promise((resolve, reject) => {
    const sent = send(
      url + request.path,
      {
        ...tls,
        method: request.method,
        headers: {
          ...headers,
          'content-type': request.contentType ?? 'application/json',
          // Without it Node sends no body with a DELETE.
          ...(body === undefined ? {} : { 'content-length': Buffer.byteLength(body) }),
        },
      },
      resolve,
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
