import { createKeyspace, type Keyspace } from '../protocol/keyspace.ts';
import type { BusConfig, RegionConfig } from './bus-config.ts';

/** The keys of a bus in one of its regions: in a Redis Cluster each value's key carries its cell's hash tag. */
export function keyspaceOf({ bus, prefix, log }: BusConfig, { redis }: RegionConfig): Keyspace {
  return createKeyspace({ bus, prefix, cells: log.partitions, clustered: typeof redis !== 'string' });
}
