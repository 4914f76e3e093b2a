import type { ClientConfig } from 'pg';
import { BusError } from '../../protocol/errors.ts';

/** A TCP connection that is not answered is given up after this long. */
const CONNECT_TIMEOUT_MS = 10_000;
/** The kernel asks a silent peer whether it is still there after this long. */
const TCP_KEEPALIVE_AFTER_MS = 10_000;

const SCHEMES: ReadonlySet<string> = new Set(['postgres:', 'postgresql:']);

export interface SessionSettings {
  /** What `pg_stat_activity` shows. It stands even where the URL has another: synchronous_standby_names goes by it. */
  readonly applicationName: string;
  /** Settings of the session, such as `statement_timeout`, beside those that the URL may have. */
  readonly settings: Readonly<Record<string, string>>;
}

/** Makes pg's configuration from the user's URL. What stands in a URL wins over pg's fields, so ours are written into the URL. */
export function clientConfig(url: string, { applicationName, settings }: SessionSettings): ClientConfig {
  const parsed = parseUrl(url);
  const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const ofUrl = parsed.searchParams.get('options');
  parsed.searchParams.set('options', [...(ofUrl === null ? [] : [ofUrl]), ...options].join(' '));
  parsed.searchParams.set('application_name', applicationName);
  return {
    connectionString: parsed.href,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: TCP_KEEPALIVE_AFTER_MS,
  };
}

/** Host, port and database, for messages: never a user or password. */
export function placeOf(url: string): string {
  const { hostname, port, pathname } = parseUrl(url);
  return `${hostname || 'localhost'}:${port || '5432'}${pathname}`;
}

/** Without the check of the scheme, `user:password@host` would pass for a URL of scheme `user`, and its password for a path. */
function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || !SCHEMES.has(parsed.protocol)) {
    throw new BusError('SETTING_INVALID', 'The URL of Postgres is none, such as postgres://user@host:5432/name.');
  }
  return parsed;
}
