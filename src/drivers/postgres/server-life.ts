import { BusError } from '../../protocol/errors.ts';
import type { Sql } from './connection.ts';

/**
 * When the server began its present run, Unix time in milliseconds. The postmaster survives the crash of a backend and starts everything
 * else anew, with acknowledged asynchronous commits gone; `pg_postmaster_start_time()` does not show that. The checkpointer is born in each
 * run, but only members of pg_read_all_stats see since when.
 */
const RUN_STARTED = `
  SELECT extract(epoch FROM greatest(pg_postmaster_start_time(),
           (SELECT max(backend_start) FROM pg_stat_activity WHERE backend_type = 'checkpointer'))) * 1000 AS started_ms`;

export async function readRunStartedAtMs(sql: Sql): Promise<number> {
  const [row] = await sql.query<{ started_ms: string }>(RUN_STARTED);
  if (row === undefined) throw new BusError('POSTGRES_QUERY_FAILED', 'The server does not say when it started.');
  return Math.round(Number(row.started_ms));
}
