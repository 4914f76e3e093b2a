import type { BufferConfig } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { lossFault, type Persistence } from './loss.ts';

export interface BufferServer extends Persistence {
  readonly role: 'master' | 'slave' | 'unknown';
  readonly isCluster: boolean;
  readonly maxmemoryPolicy: string;
}

/** Why a server cannot hold a buffer: it may drop what it acknowledged, or lose more of it than was named. */
export function unfitFor(
  config: Pick<BufferConfig, 'name' | 'loss' | 'flushEveryMs'>,
  server: BufferServer,
): BusError | undefined {
  const why = unfitness(server);
  if (why !== undefined) return new BusError('BUFFER_REDIS_UNFIT', `${config.name}: its Redis ${why}.`);
  const fault = lossFault(config, server);
  return fault === undefined ? undefined : new BusError('BUFFER_LOSS_UNKEPT', `${config.name}: ${fault}.`);
}

/** Why a server cannot hold any buffer. */
export function unfitness(server: BufferServer): string | undefined {
  if (server.maxmemoryPolicy !== 'noeviction')
    return `may drop what it has acknowledged: maxmemory-policy is ${server.maxmemoryPolicy || 'not told'}`;
  if (server.role === 'slave') return 'is a replica of another';
  if (server.isCluster) return 'is a node of a Redis Cluster: one server of its own is expected';
  return undefined;
}
