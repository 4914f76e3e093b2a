import { Cluster, type ClusterOptions, Redis } from 'ioredis';
import type { RedisPlace } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import { redactUrls } from '../../protocol/redact.ts';
import {
  type ConnectOptions,
  connectRedis,
  connectSentinels,
  ONCE,
  type RedisConnection,
  redisError,
  sentinelOptions,
} from './connection.ts';

/**
 * How often ioredis follows -MOVED, -ASK and -TRYAGAIN for one command. Each is the answer of a node that has not run it, so that it is not
 * run twice.
 */
const REDIRECTIONS_MAX = 5;

/** Connects to a region's Redis, of either kind. Throws `REDIS_UNREACHABLE` or `REDIS_DENIED`. */
export function connectRegion(place: RedisPlace, options: ConnectOptions): Promise<RedisConnection> {
  if (typeof place === 'string') return connectRedis(place, options);
  return 'cluster' in place ? connectCluster(place.cluster, options) : connectSentinels(place, options);
}

/** What an application would pass to the client library, which connects by copies of it. */
export function unconnectedRegion(place: RedisPlace): RedisConnection {
  if (typeof place === 'string') return new Redis(place, { lazyConnect: true });
  if ('sentinels' in place) return new Redis({ ...sentinelOptions(place), lazyConnect: true });
  return new Cluster(place.cluster.map(nodeOf), {
    lazyConnect: true,
    redisOptions: credentialsOf(place.cluster[0] ?? ''),
  });
}

/**
 * Connects to every master of a cluster, once, as `connectRedis` does to one server: a command that was on its way when a connection broke
 * is not sent again, and a cluster that is down fails at once. ioredis would do both by default.
 */
async function connectCluster(urls: readonly string[], options: ConnectOptions): Promise<RedisConnection> {
  const at = urls.map(redactUrls).join(', ');
  const cluster = new Cluster(urls.map(nodeOf), {
    ...CLUSTER_ONCE,
    redisOptions: { ...ONCE, ...credentialsOf(urls[0] ?? ''), ...timeoutsOf(options), connectionName: options.name },
  });
  cluster.on('error', () => undefined);
  let lastError: unknown;
  cluster.on('node error', (error: unknown) => {
    lastError = error;
  });
  try {
    // `connect` never settles where the cluster says that it is down; its end does.
    const ended = Promise.withResolvers<never>();
    cluster.once('end', () => ended.reject(lastError ?? new Error('the cluster is down')));
    ended.promise.catch(() => undefined);
    await Promise.race([cluster.connect(), ended.promise]);
    // A node's connection is opened by its first command, and would keep commands until then.
    await Promise.all(cluster.nodes('master').map((node) => node.ping()));
    return cluster;
  } catch (error) {
    cluster.disconnect();
    throw redisError(lastError ?? error, at);
  }
}

const CLUSTER_ONCE: ClusterOptions = {
  lazyConnect: true,
  enableOfflineQueue: false,
  clusterRetryStrategy: () => null,
  // 0 switches the re-sending off.
  retryDelayOnFailover: 0,
  retryDelayOnClusterDown: 0,
  maxRedirections: REDIRECTIONS_MAX,
  scaleReads: 'master',
};

function timeoutsOf({ commandTimeoutMs, connectTimeoutMs }: ConnectOptions) {
  return {
    ...(commandTimeoutMs === undefined ? {} : { commandTimeout: commandTimeoutMs }),
    ...(connectTimeoutMs === undefined ? {} : { connectTimeout: connectTimeoutMs }),
  };
}

function nodeOf(url: string): { readonly host: string; readonly port: number } {
  const { hostname, port } = parse(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) };
}

/** All nodes of a cluster take the same user, and all connections are by TLS or none. */
function credentialsOf(url: string) {
  const { protocol, username, password } = parse(url);
  return {
    ...(protocol === 'rediss:' ? { tls: {} } : {}),
    ...(username === '' ? {} : { username: decodeURIComponent(username) }),
    ...(password === '' ? {} : { password: decodeURIComponent(password) }),
  };
}

function parse(url: string): URL {
  if (URL.canParse(url)) return new URL(url);
  throw new BusError('REDIS_UNREACHABLE', `"${redactUrls(url)}" is not a URL.`);
}
