import { ApiException } from '@kubernetes/client-node';
import { BusError, type ErrorCode } from '../../protocol/errors.ts';

/** The parts of a `Status` (meta/v1) that say what happened. */
export interface KubernetesStatus {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: { readonly retryAfterSeconds?: number };
}

/** Reasons come first: 500 and 504 have some that mean "later" (`ServerTimeout`, `Timeout`; apimachinery, meta/v1/types.go). */
const BY_REASON: Readonly<Record<string, ErrorCode>> = {
  Conflict: 'KUBERNETES_CONFLICT',
  AlreadyExists: 'KUBERNETES_CONFLICT',
  Expired: 'KUBERNETES_HISTORY_GONE',
  Gone: 'KUBERNETES_HISTORY_GONE',
  TooManyRequests: 'KUBERNETES_OVERLOADED',
  ServerTimeout: 'KUBERNETES_OVERLOADED',
  Timeout: 'KUBERNETES_OVERLOADED',
  ServiceUnavailable: 'KUBERNETES_OVERLOADED',
  Forbidden: 'KUBERNETES_DENIED',
  Unauthorized: 'KUBERNETES_DENIED',
  NotFound: 'KUBERNETES_OBJECT_MISSING',
  Invalid: 'KUBERNETES_OBJECT_INVALID',
  BadRequest: 'KUBERNETES_OBJECT_INVALID',
};

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  400: 'KUBERNETES_OBJECT_INVALID',
  401: 'KUBERNETES_DENIED',
  403: 'KUBERNETES_DENIED',
  404: 'KUBERNETES_OBJECT_MISSING',
  409: 'KUBERNETES_CONFLICT',
  410: 'KUBERNETES_HISTORY_GONE',
  415: 'KUBERNETES_OBJECT_INVALID',
  422: 'KUBERNETES_OBJECT_INVALID',
  429: 'KUBERNETES_OVERLOADED',
  503: 'KUBERNETES_OVERLOADED',
  504: 'KUBERNETES_OVERLOADED',
};

/** What a failed call is: an answer of the server's, by its reason and status; else there was no answer. */
export function kubernetesError(error: unknown, what: string): BusError {
  if (error instanceof BusError) return error;
  if (error instanceof ApiException) return statusError(error.code, statusOf(error.body), error.headers, what, error);
  // As the watch throws it: a status, and no body.
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number')
    return statusError(error.statusCode, {}, {}, what, error);
  return new BusError('KUBERNETES_UNREACHABLE', `No answer to: ${what}. ${reasonOf(error)}`, {
    cause: error,
    at: what,
  });
}

export function statusError(
  status: number,
  body: KubernetesStatus,
  headers: Readonly<Record<string, string>>,
  what: string,
  cause?: unknown,
): BusError {
  const code =
    BY_REASON[body.reason ?? ''] ??
    BY_STATUS[status] ??
    (status >= 500 ? 'KUBERNETES_FAILED' : 'KUBERNETES_OBJECT_INVALID');
  return new BusError(code, `${what}: ${status} ${body.message ?? body.reason ?? ''}`.trim(), {
    at: what,
    cause,
    retryAfterMs: retryAfterMs(body, headers),
  });
}

/** In seconds, in the header or in the status; the API server sends no dates. */
function retryAfterMs(body: KubernetesStatus, headers: Readonly<Record<string, string>>): number | undefined {
  const header = Number(headers['retry-after']);
  if (Number.isFinite(header) && header > 0) return Math.min(header, RETRY_AFTER_MAX_S) * 1000;
  const seconds = body.details?.retryAfterSeconds ?? 0;
  return seconds > 0 ? Math.min(seconds, RETRY_AFTER_MAX_S) * 1000 : undefined;
}

/** A server that names an hour is not believed. */
const RETRY_AFTER_MAX_S = 120;

/** The body of an answer: an object, or the text of one; a proxy between may have written anything. */
function statusOf(body: unknown): KubernetesStatus {
  if (typeof body === 'object' && body !== null) return body;
  if (typeof body !== 'string') return {};
  try {
    const parsed: unknown = JSON.parse(body);
    return typeof parsed === 'object' && parsed !== null ? parsed : {};
  } catch {
    return {};
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // fetch says "fetch failed", and why in its cause.
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
