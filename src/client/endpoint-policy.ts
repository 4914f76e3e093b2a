import { DURATION_MAX_MS, DURATION_OR_ZERO, durationOrZeroMs } from '../config/duration.ts';
import { BusError } from '../protocol/errors.ts';

/** Seconds as a number, or `'250ms'`, `'30s'`, `'5m'`, `'2h'`, `'1d'`. */
export type Duration = number | string;

/** How an endpoint answers, beside what it reads. */
export interface PolicyOptions {
  /**
   * How long whoever is answered may use the answer without asking again: `max-age`, from the moment of the answer. It is never longer than what is left of the
   * value's time to live. 0: each use asks again (`no-cache`), and is told in a few bytes that nothing has changed.
   */
  readonly fresh: Duration;
  /** How much longer while it asks: `stale-while-revalidate`. Default: the family's own `stale`. */
  readonly stale?: Duration;
  /** How long a 404 may be used. Default: a tenth of `fresh`, a minute at most. */
  readonly absent?: Duration;
  /** How far the region may be behind the database, by its own measure; what is further behind is loaded. Default: as far as it is. */
  readonly maxStaleness?: Duration;
  /** True: no cache but the client's own may keep an answer. False: any may. Default: any, but for answers to requests that bring `Authorization`. */
  readonly private?: boolean;
  /** Names of request headers that `params` looks at: caches keep an answer for each of their values. */
  readonly vary?: readonly string[];
  /** Whether a request's own Cache-Control is followed, so that a client may have a value loaded. Default true. */
  readonly followsRequest?: boolean;
  /** Whether answers say their `Age`. False for caches before the service that pass over it, as nginx does. Default true. */
  readonly age?: boolean;
  /** Default `application/json; charset=utf-8`. */
  readonly type?: string;
}

export interface EndpointPolicy {
  readonly freshMs: number;
  readonly staleMs: number;
  readonly absentMs: number;
  readonly maxStalenessMs: number | undefined;
  readonly visibility: 'public' | 'private' | 'by request';
  /** As the header has it. */
  readonly vary: string | undefined;
  readonly followsRequest: boolean;
  readonly saysAge: boolean;
  readonly type: string;
}

const ABSENT_SHARE = 10;
const ABSENT_MAX_MS = 60_000;
const FIELD_NAME = /^[!#$%&'*+.^_`|~\w-]+$/;
const FIELD_VALUE = /^[\x20-\x7e]+$/;

/** Throws `CACHE_OPTION_INVALID`. */
export function readPolicy(options: PolicyOptions, familyStaleMs: number): EndpointPolicy {
  const { stale, absent, maxStaleness, vary = [], type = 'application/json; charset=utf-8' } = options;
  const freshMs = readDuration('fresh', options.fresh);
  for (const name of vary)
    if (!FIELD_NAME.test(name)) throw invalid(`vary names "${name}": the name of a request header is expected.`);
  if (!FIELD_VALUE.test(type)) throw invalid(`type is "${type}": a media type is expected.`);
  return {
    freshMs,
    staleMs: stale === undefined ? familyStaleMs : readDuration('stale', stale),
    absentMs: absent === undefined ? Math.min(ABSENT_MAX_MS, freshMs / ABSENT_SHARE) : readDuration('absent', absent),
    maxStalenessMs: maxStaleness === undefined ? undefined : readDuration('maxStaleness', maxStaleness),
    visibility: visibilityOf(options.private),
    vary: vary.length === 0 ? undefined : vary.join(', '),
    followsRequest: options.followsRequest ?? true,
    saysAge: options.age ?? true,
    type,
  };
}

function visibilityOf(isPrivate: boolean | undefined): EndpointPolicy['visibility'] {
  if (isPrivate === undefined) return 'by request';
  return isPrivate ? 'private' : 'public';
}

function readDuration(name: string, given: Duration): number {
  const ms = typeof given === 'number' ? Math.round(given * 1000) : durationOf(given);
  if (ms >= 0 && ms <= DURATION_MAX_MS) return ms;
  throw invalid(`${name} is ${JSON.stringify(given)}: seconds are expected, or a text like "30s" or "5m".`);
}

function durationOf(text: unknown): number {
  return typeof text === 'string' && DURATION_OR_ZERO.test(text) ? durationOrZeroMs(text) : Number.NaN;
}

const invalid = (what: string): BusError => new BusError('CACHE_OPTION_INVALID', `A route's ${what}`);
