import { type Cluster, Redis, type RedisOptions } from 'ioredis';
import type { SentinelPlace } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import { redactUrls } from '../../protocol/redact.ts';

export type ServerConnection = Redis;
/** To one server, or to all masters of a cluster. */
export type RedisConnection = Redis | Cluster;

export interface ConnectOptions {
  /** Shown by CLIENT LIST. */
  readonly name: string;
  /** A command without an answer for so long fails, and ends the connection: its answer may still come, and must not be taken for another's. */
  readonly commandTimeoutMs?: number;
  readonly connectTimeoutMs?: number;
}

const COMMAND_TIMEOUT_MS = 5000;
const CONNECT_TIMEOUT_MS = 2000;

/** One connection, and no second: nothing is queued without it, and nothing is sent again. */
export const ONCE = {
  lazyConnect: true,
  // By itself ioredis would hide a server that loads its data, and wait for it without end; -LOADING is ours to judge.
  enableReadyCheck: false,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  maxRetriesPerRequest: 0,
  retryStrategy: () => null,
  connectTimeout: CONNECT_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
} satisfies RedisOptions;

/**
 * Connects once. Nothing is queued while the server is away, nothing is sent again on another connection, and it does not reconnect by
 * itself: whoever holds it decides what a new connection means. Throws `REDIS_UNREACHABLE`, also of a server that loads its data, or
 * `REDIS_DENIED`.
 */
export async function connectRedis(url: string, options: ConnectOptions): Promise<ServerConnection> {
  return connected(new Redis(url, onceFor(options)), redactUrls(url));
}

/**
 * Connects to what Sentinels call master, once, likewise: where none of them knows, or the one that they name does not answer, it is
 * unreachable. Whoever asks again hears of the next one.
 */
export async function connectSentinels(place: SentinelPlace, options: ConnectOptions): Promise<ServerConnection> {
  const at = `${redactUrls(place.master)}, by ${place.sentinels.map(redactUrls).join(', ')}`;
  return connected(new Redis({ ...onceFor(options), ...sentinelOptions(place) }), at);
}

/** As ioredis takes it. By default it would ask all Sentinels again and again, without end. */
export function sentinelOptions({ sentinels, master }: SentinelPlace) {
  const [{ username: asUser, password: asPassword, protocol } = new URL('redis://none')] = sentinels.map(urlOf);
  const own = urlOf(master);
  const database = Number(own.pathname.slice(1) || 0);
  return {
    sentinels: sentinels.map(urlOf).map(({ hostname, port }) => ({ host: hostname, port: Number(port || 26_379) })),
    name: decodeURIComponent(own.hostname),
    sentinelRetryStrategy: () => null,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    ...(database === 0 ? {} : { db: database }),
    ...(own.username === '' ? {} : { username: decodeURIComponent(own.username) }),
    ...(own.password === '' ? {} : { password: decodeURIComponent(own.password) }),
    ...(own.protocol === 'rediss:' ? { tls: {} } : {}),
    ...(asUser === '' ? {} : { sentinelUsername: decodeURIComponent(asUser) }),
    ...(asPassword === '' ? {} : { sentinelPassword: decodeURIComponent(asPassword) }),
    ...(protocol === 'rediss:' ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
  };
}

function urlOf(text: string): URL {
  if (URL.canParse(text)) return new URL(text);
  throw new BusError('REDIS_UNREACHABLE', `"${redactUrls(text)}" is not a URL.`);
}

function onceFor({ name, connectTimeoutMs, commandTimeoutMs }: ConnectOptions) {
  return {
    ...ONCE,
    connectionName: name,
    connectTimeout: connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    commandTimeout: commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
  };
}

async function connected(redis: Redis, at: string): Promise<ServerConnection> {
  // The commands' own failures tell; an unheard 'error' event would end the process.
  let heard: unknown;
  redis.on('error', (error: unknown) => (heard ??= error));
  try {
    await redis.connect();
    await redis.ping();
    return redis;
  } catch (error) {
    redis.disconnect();
    // A refused log-in is told by the event alone; the promise says that the connection was closed.
    throw redisError(heard ?? error, at);
  }
}

/** What is done with a command that was sent: its failure becomes a coded one. */
export type Ask = <T>(redis: RedisConnection, at: string, command: Promise<T>) => Promise<T>;

/** The way of a connection that is given up at its first failure. */
export async function ask<T>(redis: RedisConnection, at: string, command: Promise<T>): Promise<T> {
  try {
    return await command;
  } catch (error) {
    const coded = redisError(error, at);
    if (coded.code === 'REDIS_UNREACHABLE') redis.disconnect();
    throw coded;
  }
}

/** A reply error begins with a word that is its code ("Redis serialization protocol specification", Simple errors). */
const REPLY_CODE = /^([A-Z]+)(?: |$)/;
const DENIED = new Set(['NOAUTH', 'WRONGPASS', 'NOPERM']);
/** So Redis says it of a command inside a script (`scriptCall` in script.c; the words have changed in 7.0). */
const DENIED_IN_SCRIPT = /^ERR (?:The user executing the script can't|ACL failure in script)/;
/** The server is there, but is no master that can take writes now. */
const NOT_NOW = new Set(['LOADING', 'READONLY', 'MASTERDOWN', 'BUSY', 'CLUSTERDOWN', 'TRYAGAIN']);

export function redisError(error: unknown, at: string): BusError {
  if (error instanceof BusError) return error;
  // Of a cluster whose nodes all refuse, the last one's own error.
  if (error instanceof Error && 'lastNodeError' in error && error.lastNodeError instanceof Error)
    return redisError(error.lastNodeError, at);
  const name = error instanceof Error ? error.name : '';
  const message = error instanceof Error ? error.message : String(error);
  const word = name === 'ReplyError' ? REPLY_CODE.exec(message)?.[1] : undefined;
  if (word === undefined)
    return new BusError('REDIS_UNREACHABLE', `Redis does not answer: ${redactUrls(message)}`, { at, cause: error });
  if (DENIED.has(word) || DENIED_IN_SCRIPT.test(message))
    return new BusError('REDIS_DENIED', message, { at, cause: error });
  if (word === 'WRONGTYPE') return new BusError('REDIS_WRONG_TYPE', message, { at, cause: error });
  if (NOT_NOW.has(word)) return new BusError('REDIS_UNREACHABLE', message, { at, cause: error });
  return new BusError('REDIS_COMMAND_FAILED', message, { at, cause: error });
}
