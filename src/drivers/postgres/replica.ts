import type { ReplicaProbe, ReplicaState } from '../../agent/replica-watch.ts';
import { LSN_ZERO, lsnFromPostgres } from '../../protocol/lsn.ts';
import type { Sql } from './connection.ts';
import { LastingConnection } from './lasting-connection.ts';

/** Stands where the timeline cannot be told. No server is on it, so nothing is taken for settled. */
const TIMELINE_UNKNOWN = 0;

interface RoleRow {
  readonly is_in_recovery: boolean;
  readonly replayed: string | null;
  readonly timeline: number | null;
}

/**
 * `received_tli` shows while a WAL receiver runs, and to members of pg_read_all_stats. Nothing else says on which timeline the replayed
 * LSN is: the last checkpoint's may be the one before. A statement sees no newer than its snapshot, so whoever takes the LSN for a proof
 * reads the rows in a later statement of the same session.
 */
const STATE = `
  SELECT pg_is_in_recovery() AS is_in_recovery,
         CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END::text AS replayed,
         (SELECT received_tli FROM pg_stat_wal_receiver) AS timeline`;

/** Asks a server how far it has replayed, and whether it is a replica at all. */
export async function readReplicaState(sql: Sql): Promise<ReplicaState> {
  const [row] = await sql.query<RoleRow & Record<string, unknown>>(STATE);
  return {
    isInRecovery: row?.is_in_recovery === true,
    replayLsn: typeof row?.replayed === 'string' ? lsnFromPostgres(row.replayed) : LSN_ZERO,
    timeline: row?.timeline ?? TIMELINE_UNKNOWN,
  };
}

/** A read replica of a region, on a connection of its own that is opened again after it broke. */
export class ReplicaServer implements ReplicaProbe {
  readonly #connection: LastingConnection;

  constructor(options: { readonly url: string; readonly applicationName: string }) {
    this.#connection = new LastingConnection(options);
  }

  async read(): Promise<ReplicaState> {
    return readReplicaState(await this.#connection.get());
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }
}
