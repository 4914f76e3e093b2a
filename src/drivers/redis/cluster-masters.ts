import { Cluster, type Redis } from 'ioredis';
import { hashSlotOf } from '../../protocol/cell-tag.ts';
import type { Keyspace } from '../../protocol/keyspace.ts';
import type { RedisConnection } from './connection.ts';

export interface Master {
  readonly node: Redis;
  /** `host:port`, as the cluster calls it, or as Sentinels have named it. */
  readonly host: string;
}

/** The masters of a cluster, always in one order; one server is its own master. */
export function mastersOf(redis: RedisConnection): Master[] {
  const nodes = redis instanceof Cluster ? redis.nodes('master') : [redis];
  return nodes.map((node) => ({ node, host: hostOf(node) })).toSorted((a, b) => (a.host < b.host ? -1 : 1));
}

function hostOf({ options, stream }: Redis): string {
  const isNamed = options.sentinels !== undefined && options.sentinels !== null;
  return isNamed ? `${stream.remoteAddress}:${stream.remotePort}` : `${options.host}:${options.port}`;
}

/** How many cells each master holds, in the order of `mastersOf`. */
export function cellsByMaster(redis: RedisConnection, keyspace: Keyspace): number[] {
  const masters = mastersOf(redis).map(({ host }) => host);
  const counts = masters.map(() => 0);
  for (let cell = 0; cell < keyspace.cells; cell++) {
    const tag = /\{(.*?)\}/.exec(keyspace.record(cell))?.[1] ?? '';
    const owner = redis instanceof Cluster ? redis.slots[hashSlotOf(tag)]?.[0] : masters[0];
    const place = masters.indexOf(owner ?? '');
    if (place >= 0) counts[place] = (counts[place] ?? 0) + 1;
  }
  return counts;
}
