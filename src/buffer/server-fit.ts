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
  const { name } = config;
  const unfit = (why: string): BusError => new BusError('BUFFER_REDIS_UNFIT', `${name}: its Redis ${why}`);
  if (server.maxmemoryPolicy !== 'noeviction')
    return unfit(`may drop what it has acknowledged: maxmemory-policy is ${server.maxmemoryPolicy || 'not told'}.`);
  if (server.role === 'slave') return unfit('is a replica of another.');
  if (server.isCluster) return unfit('is a node of a Redis Cluster: one server of its own is expected.');
  const fault = lossFault(config, server);
  return fault === undefined ? undefined : new BusError('BUFFER_LOSS_UNKEPT', `${name}: ${fault}.`);
}
