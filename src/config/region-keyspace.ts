import { createKeyspace, type Keyspace } from '../protocol/keyspace.ts';
import type { BusConfig, RedisPlace, RegionConfig } from './bus-config.ts';

/** The keys of a bus in one of its regions: in a Redis Cluster each value's key carries its cell's hash tag. */
export function keyspaceOf({ bus, prefix, log }: BusConfig, { redis }: RegionConfig): Keyspace {
  return createKeyspace({ bus, prefix, cells: log.partitions, clustered: isCluster(redis) });
}

/** Only there keys are spread over servers; Sentinels name one. */
export function isCluster(place: RedisPlace): place is Extract<RedisPlace, { readonly cluster: unknown }> {
  return typeof place !== 'string' && 'cluster' in place;
}
