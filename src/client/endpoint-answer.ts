import type { EndpointPolicy } from './endpoint-policy.ts';
import { isMatched, isNoneMatched } from './entity-tag.ts';
import { problemAnswer } from './problem.ts';
import type { Representation } from './representation.ts';
import { headerOf, type RequestHeaders } from './request-demand.ts';

/** What is sent. To a HEAD it is the same, and the server leaves the body out. */
export interface Answer {
  readonly status: number;
  /** By their names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | undefined;
}

/** How the read of an endpoint's family ended. */
export type ReadOutcome =
  | { readonly kind: 'value'; readonly age: ServedAge; readonly representation: Representation }
  /** What was asked for does not exist. */
  | { readonly kind: 'absence'; readonly age: ServedAge }
  /** Nothing is held, and the request wants nothing loaded. */
  | { readonly kind: 'not held' };

export interface ServedAge {
  /** How long ago it was read at its origin; undefined where that is not known. */
  readonly ageMs: number | undefined;
  /** What is left of its time to live; below 0 past it. */
  readonly leftMs: number;
}

/**
 * Decides the answer to a GET or a HEAD:
 *
 *     value, If-Match that names another      412
 *     value, If-None-Match that names it      304     what the client has is what there is
 *     value                                   200
 *     absence                                 404     for a shorter time. RFC 9110, 13.2.1: conditions are for what would be a 200
 *     not held, only-if-cached                504     RFC 9111, 5.2.1.7
 *
 * RFC 9111, 4.2: a cache holds an answer fresh while its age is below `max-age`. The answer's age begins at `Age`, and the value may have stood in Redis for
 * longer than `fresh`, no older for that: so `max-age` is `Age` and, on top of it, what is allowed from now on.
 */
export function answerTo(headers: RequestHeaders, outcome: ReadOutcome, policy: EndpointPolicy): Answer {
  switch (outcome.kind) {
    case 'value':
      return ofValue(headers, outcome.representation, cachingOf(headers, outcome.age, policy), policy.type);
    case 'absence': {
      const forAbsence = { ...policy, freshMs: policy.absentMs, staleMs: 0 };
      return problemAnswer({ status: 404, detail: undefined }, cachingOf(headers, outcome.age, forAbsence));
    }
    case 'not held':
      return problemAnswer({ status: 504, detail: 'Nothing is cached, and the request wants nothing loaded.' });
  }
}

function ofValue(
  headers: RequestHeaders,
  { body, entityTag }: Representation,
  caching: Readonly<Record<string, string>>,
  type: string,
): Answer {
  const ifMatch = headerOf(headers, 'if-match');
  if (ifMatch !== undefined && !isMatched(ifMatch, entityTag)) return problemAnswer({ status: 412, detail: undefined });
  const withTag = { ...caching, etag: entityTag };
  const ifNoneMatch = headerOf(headers, 'if-none-match');
  if (ifNoneMatch !== undefined && isNoneMatched(ifNoneMatch, entityTag))
    return { status: 304, headers: withTag, body: undefined };
  return {
    status: 200,
    headers: { ...withTag, 'content-type': type, 'content-length': String(body.byteLength) },
    body,
  };
}

/** Cache-Control, and Age and Vary where there are any. */
function cachingOf(
  headers: RequestHeaders,
  { ageMs, leftMs }: ServedAge,
  { freshMs, staleMs, visibility, vary, saysAge }: EndpointPolicy,
): Readonly<Record<string, string>> {
  const age = saysAge && ageMs !== undefined ? wholeSeconds(ageMs) : undefined;
  const freshS = wholeSeconds(Math.min(freshMs, leftMs));
  // Past its time a value has a part of the stale bound left.
  const staleS = wholeSeconds(Math.min(staleMs, leftMs + staleMs - freshS * 1000));
  const control = [
    visibilityFor(headers, visibility),
    freshMs === 0 ? 'no-cache' : `max-age=${(age ?? 0) + freshS}`,
    ...(staleS === 0 || freshMs === 0 ? [] : [`stale-while-revalidate=${staleS}`]),
  ];
  return {
    'cache-control': control.join(', '),
    ...(age === undefined ? {} : { age: String(age) }),
    ...(vary === undefined ? {} : { vary }),
  };
}

/** RFC 9111, 3.5: what is answered to a request with Authorization is no other's, unless the application says that it is. */
function visibilityFor(headers: RequestHeaders, visibility: EndpointPolicy['visibility']): 'public' | 'private' {
  if (visibility !== 'by request') return visibility;
  return headers['authorization'] === undefined ? 'public' : 'private';
}

const wholeSeconds = (ms: number): number => Math.max(0, Math.floor(ms / 1000));
