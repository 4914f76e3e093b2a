import { Cluster } from 'ioredis';
import type { RedisConnection } from './connection.ts';

const SCAN_COUNT = 500;

export interface ScanPage {
  /** Where to go on, or null at the end. `0` begins. */
  readonly next: string | null;
  /** Redis keys, some perhaps more than once. */
  readonly keys: readonly string[];
}

/**
 * One page of a scan over all keys of one server, or of one master of a cluster after the other: the cursor then names the master too. What is
 * there all the time is found, unless its slot moves to another master while the scan runs.
 */
export async function scanPage(redis: RedisConnection, cursor: string, glob: string): Promise<ScanPage> {
  if (!(redis instanceof Cluster)) {
    const [next, keys] = await redis.scan(cursor, 'MATCH', glob, 'COUNT', SCAN_COUNT);
    return { next: next === '0' ? null : next, keys };
  }
  const masters = redis
    .nodes('master')
    .map((node) => ({ node, name: `${node.options.host}:${node.options.port}` }))
    .toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const [place = '0', name = masters[0]?.name] = cursor.split(' ');
  const master = masters.find((one) => one.name === name);
  if (master === undefined) throw new Error(`${name ?? 'A master'} left the cluster while it was scanned.`);
  const [next, keys] = await master.node.scan(place, 'MATCH', glob, 'COUNT', SCAN_COUNT);
  const following = masters[masters.indexOf(master) + 1];
  if (next !== '0') return { next: `${next} ${master.name}`, keys };
  return { next: following === undefined ? null : `0 ${following.name}`, keys };
}
