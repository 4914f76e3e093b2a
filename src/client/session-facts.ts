import { BusError } from '../protocol/errors.ts';
import { type Lsn, lsnFromPostgres } from '../protocol/lsn.ts';
import { askAll } from './lent-client.ts';
import type { Queryable } from './pool.ts';

/**
 * The timeline of a primary, 8 hex digits; null on a standby. The name of the WAL file that is written now begins with it; pg_control_checkpoint()
 * would say that of the last checkpoint, which after a promotion is the one before.
 */
export const PRIMARY_TIMELINE =
  'CASE WHEN pg_is_in_recovery() THEN NULL ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8) END';

export function timelineOf(hex: unknown): number | undefined {
  return typeof hex === 'string' ? Number.parseInt(hex, 16) : undefined;
}

/** What a session of a replica says of itself before it reads. */
export interface ReplicaFacts {
  readonly isInRecovery: boolean;
  readonly replayedLsn: Lsn | undefined;
  /** Undefined where no WAL receiver runs, or the user may not see it (pg_read_all_stats). Nothing else names the timeline that is replayed. */
  readonly timeline: number | undefined;
  readonly isAurora: boolean;
}

/**
 * The LSN stands first: of two timelines that a standby follows one after the other, the second is then named, whose history holds the LSN too. Readers of
 * Aurora are told by a function that only Aurora has.
 */
const REPLICA_FACTS = `
  SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn()::text, (SELECT received_tli FROM pg_stat_wal_receiver),
         EXISTS (SELECT FROM pg_catalog.pg_proc WHERE proname = 'aurora_version')`;

/**
 * READ COMMITTED, whatever the session's default is: a statement's snapshot is taken when it begins, so what a later statement reads is at least as new as
 * the LSN of this one. The transaction keeps a pooler such as PgBouncer from giving the later statement another session.
 */
const BEGIN = 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY';

/** Opens a transaction for reading, and says what the session was at its beginning. Throws `REPLICA_UNFIT` for Aurora. */
export async function beginOnReplica(client: Queryable): Promise<ReplicaFacts> {
  const facts = replicaFactsOf(await askAll(client, `${BEGIN}; ${REPLICA_FACTS}`));
  refuseAurora(facts);
  return facts;
}

/** The same without a transaction, of any server. */
export async function readReplicaFacts(client: Queryable): Promise<ReplicaFacts> {
  return replicaFactsOf(await askAll(client, REPLICA_FACTS));
}

export function refuseAurora({ isAurora }: ReplicaFacts): void {
  if (!isAurora) return;
  throw new BusError(
    'REPLICA_UNFIT',
    'This is Amazon Aurora: its readers share the writer’s storage, and say nothing of how far a read of them sees.',
  );
}

function replicaFactsOf(replies: readonly { readonly rows: unknown[][] }[]): ReplicaFacts {
  const [isInRecovery, replayed, timeline, isAurora] = replies.at(-1)?.rows[0] ?? [];
  return {
    isInRecovery: isInRecovery === true,
    replayedLsn: typeof replayed === 'string' ? lsnFromPostgres(replayed) : undefined,
    timeline: typeof timeline === 'number' ? timeline : undefined,
    isAurora: isAurora === true,
  };
}
