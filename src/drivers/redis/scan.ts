import { mastersOf } from './cluster-masters.ts';
import type { RedisConnection } from './connection.ts';

const SCAN_COUNT = 500;

export interface ScanPage {
  /** Where to go on, or null at the end. `0` begins. */
  readonly next: string | null;
  /** Redis keys, some perhaps more than once. */
  readonly keys: readonly string[];
}

/**
 * One page of a scan over all keys of one server, or of one master of a cluster after the other: the cursor names the master too. What is
 * there all the time is found, unless its slot moves to another master while the scan runs.
 */
export async function scanPage(redis: RedisConnection, cursor: string, glob: string): Promise<ScanPage> {
  const masters = mastersOf(redis);
  const [place = '0', host = masters[0]?.host] = cursor.split(' ');
  const at = masters.findIndex((master) => master.host === host);
  const master = masters[at];
  if (master === undefined) throw new Error(`${host ?? 'A master'} left the cluster while it was scanned.`);
  const [next, keys] = await master.node.scan(place, 'MATCH', glob, 'COUNT', SCAN_COUNT);
  const following = masters[at + 1];
  if (next !== '0') return { next: `${next} ${master.host}`, keys };
  return { next: following === undefined ? null : `0 ${following.host}`, keys };
}
