/** The headers of a request, by their names in lower case, as Node has them. */
export type RequestHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

/** What a request's Cache-Control asks of the read. */
export interface RequestDemand {
  /** How far the region may be behind the database. */
  readonly maxStalenessMs: number | undefined;
  /** What is not in the cache is not loaded. */
  readonly isHeldOnly: boolean;
}

export const NO_DEMAND: RequestDemand = { maxStalenessMs: undefined, isHeldOnly: false };

/** RFC 9111, 1.2.2: what is larger than a cache can hold is the largest number that it can. */
const SECONDS_MAX = 2 ** 31;

/** A directive of RFC 9111, 5.2, with its argument as a token or quoted. */
const DIRECTIVE = /([!#$%&'*+.^_`|~\w-]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?/g;

/** One header as one text: several of a name are a list. */
export function headerOf(headers: RequestHeaders, name: string): string | undefined {
  const value = headers[name];
  return value === undefined || typeof value === 'string' ? value : value.join(', ');
}

/**
 * Reads a request's Cache-Control (RFC 9111, 5.2.1):
 *
 *     no-cache           a read that the region answers only if it is not behind at all: in fact a load
 *     max-age=N          … no more than N seconds behind; the least of several
 *     max-stale[=N]      … N seconds more than max-age asks for, or whatever it is. Nothing that the route itself demands is loosened by it
 *     only-if-cached     what is held, or 504
 *     anything else      nothing: min-fresh, no-store and no-transform ask for nothing that a read could do
 *
 * A value that is older than N seconds, but by what the region knows is not behind, is as fresh as a load's. `Pragma: no-cache` counts where there is no
 * Cache-Control (5.4). What cannot be read is passed over.
 */
export function demandOf(headers: RequestHeaders): RequestDemand {
  const text = headerOf(headers, 'cache-control') ?? pragmaOf(headers);
  if (text === undefined) return NO_DEMAND;
  let maxAgeS: number | undefined;
  let moreS = 0;
  let isHeldOnly = false;
  let isNoCache = false;
  for (const [, name = '', quoted, token] of text.matchAll(DIRECTIVE)) {
    const seconds = secondsOf(quoted ?? token);
    switch (name.toLowerCase()) {
      case 'no-cache':
        isNoCache = true;
        break;
      case 'max-age':
        if (seconds !== undefined) maxAgeS = Math.min(maxAgeS ?? SECONDS_MAX, seconds);
        break;
      case 'max-stale':
        moreS = quoted === undefined && token === undefined ? Number.POSITIVE_INFINITY : (seconds ?? 0);
        break;
      case 'only-if-cached':
        isHeldOnly = true;
        break;
      default:
    }
  }
  if (isNoCache) return { maxStalenessMs: 0, isHeldOnly };
  const boundS = maxAgeS === undefined ? Number.POSITIVE_INFINITY : maxAgeS + moreS;
  return { maxStalenessMs: Number.isFinite(boundS) ? boundS * 1000 : undefined, isHeldOnly };
}

function pragmaOf(headers: RequestHeaders): string | undefined {
  const pragma = headerOf(headers, 'pragma');
  return pragma !== undefined && /(?:^|,)\s*no-cache\s*(?:,|$)/i.test(pragma) ? 'no-cache' : undefined;
}

function secondsOf(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+$/.test(text) ? Math.min(SECONDS_MAX, Number(text)) : undefined;
}
