import { type Cluster, Redis, type RedisOptions } from 'ioredis';
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
  const redis = new Redis(url, {
    ...ONCE,
    connectionName: options.name,
    connectTimeout: options.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
    commandTimeout: options.commandTimeoutMs ?? COMMAND_TIMEOUT_MS,
  });
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
    throw redisError(heard ?? error, redactUrls(url));
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
/** The server is there, but is no master that can take writes now. */
const NOT_NOW = new Set(['LOADING', 'READONLY', 'MASTERDOWN', 'BUSY', 'CLUSTERDOWN', 'TRYAGAIN']);

export function redisError(error: unknown, at: string): BusError {
  if (error instanceof BusError) return error;
  const name = error instanceof Error ? error.name : '';
  const message = error instanceof Error ? error.message : String(error);
  const word = name === 'ReplyError' ? REPLY_CODE.exec(message)?.[1] : undefined;
  if (word === undefined)
    return new BusError('REDIS_UNREACHABLE', `Redis does not answer: ${redactUrls(message)}`, { at, cause: error });
  if (DENIED.has(word)) return new BusError('REDIS_DENIED', message, { at, cause: error });
  if (word === 'WRONGTYPE') return new BusError('REDIS_WRONG_TYPE', message, { at, cause: error });
  if (NOT_NOW.has(word)) return new BusError('REDIS_UNREACHABLE', message, { at, cause: error });
  return new BusError('REDIS_COMMAND_FAILED', message, { at, cause: error });
}
