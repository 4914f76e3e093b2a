import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import type { Peer, Settings, Tiers } from './adapter.ts';
import { PeerProcess } from './peer-process.ts';
import { RedisMonitor } from './redis-monitor.ts';

/** A Redis server of its own, and processes of one library in one of its settings. */
export interface Lab {
  readonly server: RedisServer;
  readonly redis: Redis;
  readonly monitor: RedisMonitor;
  /** A process with the library connected and used once. */
  start(tiers?: Tiers): Promise<PeerProcess>;
}

/** Ends all that `work` started, the processes first. */
export async function inLab<R>(peer: Peer, settings: Settings, work: (lab: Lab) => Promise<R>): Promise<R> {
  const server = await startRedis();
  const redis = new Redis(server.url);
  redis.on('error', () => undefined);
  const monitor = await RedisMonitor.start(server.port);
  const beside = await peer.startBeside?.(server.url, settings);
  // What runs beside the processes of the application works on, asked or not.
  if (beside !== undefined) monitor.ignore(await clientsOf(redis));
  const processes: PeerProcess[] = [];
  const start = async (tiers: Tiers = 'usual'): Promise<PeerProcess> => {
    const process = new PeerProcess();
    processes.push(process);
    await process.call('open', {
      peer: peer.name,
      settings,
      tiers,
      redisUrl: server.url,
      beside: beside?.context ?? null,
    });
    return process;
  };
  try {
    return await work({ server, redis, monitor, start });
  } finally {
    await Promise.all(processes.map((process) => process.kill()));
    await beside?.stop();
    monitor.stop();
    redis.disconnect();
    await server.stop();
  }
}

async function clientsOf(redis: Redis): Promise<ReadonlySet<string>> {
  const list = String(await redis.client('LIST'));
  return new Set([...list.matchAll(/\baddr=(?<address>\S+)/gu)].map(({ groups }) => groups?.['address'] ?? ''));
}
