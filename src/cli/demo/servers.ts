import { BusError, isBusError } from '../../protocol/errors.ts';
import type { GuardedProcess } from '../../stack/guarded-process.ts';
import { type KafkaServer, startKafka } from '../../stack/kafka.ts';
import { type PostgresServer, startPostgres } from '../../stack/postgres.ts';
import { givenServers } from './given-servers.ts';
import { LOG_SETTINGS, type RedisServer, startRedis } from '../../stack/redis.ts';

export const REGIONS: readonly string[] = ['eu', 'us', 'ap'];

export interface DemoServers {
  readonly postgres: PostgresServer;
  readonly caches: ReadonlyMap<string, RedisServer>;
  readonly log:
    | { readonly kind: 'kafka'; readonly server: KafkaServer }
    | { readonly kind: 'redis-streams'; readonly server: RedisServer };
  /** Rejects if one of those that were started ends before it is stopped. */
  readonly failed: Promise<never>;
  stop(): Promise<void>;
}

export interface ServersWish {
  readonly log: 'kafka' | 'redis-streams' | undefined;
  readonly say: (line: string) => void;
  /** A Redis for each. */
  readonly regions: readonly string[];
  /** Of which the Redis is killed: its end is no failure. */
  readonly victim?: string;
}

/** Starts all servers at once. If one cannot be had, those that were started are stopped, and its error is thrown. */
export async function startServers({ log, say, regions, victim }: ServersWish): Promise<DemoServers> {
  const env = givenServers(process.env);
  // Redis first: if packages are to be installed, they are installed once.
  const caches: RedisServer[] = [];
  const started: { stop(): Promise<void> }[] = [];
  const keep = <T extends { stop(): Promise<void> }>(server: T): T => {
    started.push(server);
    return server;
  };
  let isStopping = false;
  const stop = async (): Promise<void> => {
    isStopping = true;
    await Promise.allSettled(started.splice(0).map((server) => server.stop()));
  };
  try {
    for (const region of regions)
      caches.push(keep(await startRedis({ url: env(`AFTERWRITE_REDIS_${region.toUpperCase()}`), say })));
    const [postgres, logServer] = await settled([
      startPostgres({
        url: env('AFTERWRITE_PG_URL'),
        replicaUrl: env('AFTERWRITE_PG_REPLICA_URL'),
        replica: true,
        say,
      }).then(keep),
      startLog(log, env, say).then((found) => {
        keep(found.server);
        return found;
      }),
    ]);
    const processes = new Map([
      ['Postgres', postgres.primary?.process],
      ['replica of Postgres', postgres.replica?.process],
      ['log', logServer.server.process],
      ...regions
        .map((region, i) => [`Redis of ${region}`, caches[i]?.process] as const)
        .filter((_, i) => regions[i] !== victim),
    ]);
    return {
      postgres,
      log: logServer,
      caches: new Map(regions.map((region, i) => [region, caches[i] as RedisServer])),
      failed: endOfAny(processes, () => isStopping),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function endOfAny(
  processes: ReadonlyMap<string, GuardedProcess | undefined>,
  isStopping: () => boolean,
): Promise<never> {
  const ends = [...processes].flatMap(([name, server]) => {
    if (server === undefined) return [];
    return server.ended.then((code) => {
      if (isStopping()) return new Promise<never>(() => undefined);
      const message = `The ${name} ended by itself, with ${code}. It printed:\n${server.lastLines()}`;
      throw new BusError('STACK_START_FAILED', message);
    });
  });
  const failed = Promise.race(ends);
  failed.catch(() => undefined);
  return failed;
}

/** Waits for both, also where one fails, so that nothing is started behind our back. */
async function settled<A, B>([a, b]: [Promise<A>, Promise<B>]): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

async function startLog(
  log: 'kafka' | 'redis-streams' | undefined,
  env: (name: string) => string | undefined,
  say: (line: string) => void,
): Promise<DemoServers['log']> {
  if (log !== 'redis-streams') {
    try {
      return {
        kind: 'kafka',
        server: await startKafka({
          brokers: env('AFTERWRITE_KAFKA_BROKERS')
            ?.split(',')
            .map((one) => one.trim()),
          say,
        }),
      };
    } catch (error) {
      if (log === 'kafka' || !isBusError(error, 'STACK_UNAVAILABLE')) throw error;
      say(`${error.message} Redis Streams keeps the log instead.`);
    }
  }
  return {
    kind: 'redis-streams',
    server: await startRedis({ url: env('AFTERWRITE_REDIS_LOG'), settings: LOG_SETTINGS, say }),
  };
}

export function serverLines({ postgres, caches, log }: DemoServers): string[] {
  const redis = [...new Set([...caches.values()].map((server) => server.chosen))].join(', ');
  const replica = postgres.replicaUrl === undefined ? 'no replica' : 'one streaming replica';
  const logName = log.kind === 'kafka' ? 'Kafka' : 'Redis Streams';
  return [
    `Postgres: ${postgres.chosen}, ${replica}`,
    `Redis:    ${redis}, one for each of ${[...caches.keys()].join(', ')}`,
    `Log:      ${logName}, ${log.server.chosen}`,
  ];
}
