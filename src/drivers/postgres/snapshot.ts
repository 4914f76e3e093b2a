import { lsnFromPostgres } from '../../protocol/lsn.ts';
import type { Snapshot } from '../../protocol/snapshot.ts';
import type { SourceLook } from '../../relay/from-postgres.ts';
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

/**
 * The time of the statement is when the server took it from the wire, so it is before all else here, in whatever order the columns are computed.
 * The end is that of what is flushed: only that is streamed.
 */
const LOOK = `
  SELECT (extract(epoch FROM statement_timestamp()) * 1000)::float8 AS asked_at_ms,
         pg_current_wal_flush_lsn()::text AS flushed`;

export async function lookAtSource(sql: Sql): Promise<SourceLook> {
  const [row] = await sql.query<{ asked_at_ms: number; flushed: string }>(LOOK);
  return { askedAtMs: row?.asked_at_ms ?? 0, flushedLsn: lsnFromPostgres(row?.flushed ?? '') };
}

/** Allocates a transaction id: every transaction that may still be invisible has a lower one. */
export async function allocateXid(sql: Sql): Promise<bigint> {
  const [row] = await sql.query<{ xid: string }>('SELECT pg_current_xact_id()::text AS xid');
  return BigInt(row?.xid ?? '');
}
