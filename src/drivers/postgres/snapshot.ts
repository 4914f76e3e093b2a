import type { Snapshot } from '../../protocol/snapshot.ts';
import type { Sql } from './connection.ts';

/** `xmin:xmax:xip,xip,...` as `pg_snapshot` prints itself. */
export function parseSnapshot(text: string): Snapshot {
  const [xmin = '', xmax = '', inProgress = ''] = text.split(':');
  const ids = inProgress === '' ? [] : inProgress.split(',');
  return { xmin: BigInt(xmin), xmax: BigInt(xmax), inProgress: new Set(ids.map(BigInt)) };
}

/** Takes a snapshot now. In its own transaction, so it is as new as can be. */
export async function takeSnapshot(sql: Sql): Promise<Snapshot> {
  const [row] = await sql.query<{ snapshot: string }>('SELECT pg_current_snapshot()::text AS snapshot');
  return parseSnapshot(row?.snapshot ?? '');
}

/** Allocates a transaction id: every transaction that may still be invisible has a lower one. */
export async function allocateXid(sql: Sql): Promise<bigint> {
  const [row] = await sql.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  return BigInt(row?.xid ?? '');
}
