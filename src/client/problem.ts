import { STATUS_CODES } from 'node:http';
import { BusError, type ErrorCode, ERRORS } from '../protocol/errors.ts';
import type { Answer } from './endpoint-answer.ts';

/** After so long a client may try again: about as long as an error answers for its key, and a load may wait. */
const RETRY_AFTER_S = 1;

export interface Problem {
  readonly status: number;
  readonly detail: string | undefined;
  readonly code?: ErrorCode;
}

/** An answer that tells why it is not what was asked for: RFC 9457. It is kept by nobody, unless `caching` says otherwise. */
export function problemAnswer(
  { status, detail, code }: Problem,
  more: Readonly<Record<string, string>> = { 'cache-control': 'no-store' },
): Answer {
  const problem = { type: 'about:blank', title: STATUS_CODES[status], status, detail, code };
  const body = Buffer.from(JSON.stringify(problem), 'utf8');
  const headers = { 'content-type': 'application/problem+json', 'content-length': String(body.byteLength) };
  return { status, headers: { ...more, ...headers }, body };
}

/**
 * Decides what a failure is to whoever asked, by its code; undefined where it is passed on to the framework, as every error of a loader is.
 *
 *     a key that cannot be               400     with the message: it is about what the client has sent
 *     what passes by itself, or CLOSED   503     with Retry-After
 *     what needs a person                503     without
 *     misuse                             passed on
 *
 * But for 400 the table's own words are told: a message may name hosts and keys.
 */
export function failureAnswer(error: unknown): Answer | undefined {
  if (!(error instanceof BusError)) return undefined;
  const { code, message, retry } = error;
  if (code === 'KEY_PARAMETER_INVALID' || code === 'CACHE_KEY_TOO_LONG')
    return problemAnswer({ status: 400, detail: message, code });
  const problem = { status: 503, detail: ERRORS[code].summary, code };
  if (retry === 'retry' || retry === 'reset' || code === 'CACHE_CLOSED')
    return problemAnswer(problem, { 'cache-control': 'no-store', 'retry-after': String(RETRY_AFTER_S) });
  return retry === 'operator' ? problemAnswer(problem) : undefined;
}
