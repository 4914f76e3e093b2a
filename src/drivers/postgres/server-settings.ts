import type { Sql } from './connection.ts';

interface SettingsRow {
  readonly version: number;
  readonly role: string;
  readonly wal_level: string;
  readonly standbys: string;
  readonly keep_mb: number;
  readonly slots_max: number;
  readonly slots_used: number;
  readonly senders_max: number;
  readonly senders_used: number;
  readonly idle_timeout_s: number | null;
  readonly horizons: string[] | null;
  readonly can_replicate: boolean;
  readonly can_read_stats: boolean;
  readonly feedback: boolean;
  readonly is_in_recovery: boolean;
  readonly system_id: string;
}

/** idle_replication_slot_timeout came with PostgreSQL 18. */
const SETTINGS = `
  SELECT current_setting('server_version_num')::int AS version,
         current_user::text AS role,
         current_setting('wal_level') AS wal_level,
         current_setting('synchronous_standby_names') AS standbys,
         (SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep_mb,
         current_setting('max_replication_slots')::int AS slots_max,
         (SELECT count(*)::int FROM pg_replication_slots) AS slots_used,
         current_setting('max_wal_senders')::int AS senders_max,
         (SELECT count(*)::int FROM pg_stat_replication) AS senders_used,
         (SELECT setting::int FROM pg_settings WHERE name = 'idle_replication_slot_timeout') AS idle_timeout_s,
         (SELECT json_agg(slot_name) FROM pg_replication_slots WHERE xmin IS NOT NULL OR catalog_xmin IS NOT NULL) AS horizons,
         (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS can_replicate,
         pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS can_read_stats,
         current_setting('hot_standby_feedback')::bool AS feedback,
         pg_is_in_recovery() AS is_in_recovery,
         (SELECT system_identifier::text FROM pg_control_system()) AS system_id`;

export interface ServerSettings {
  /** `server_version_num`, such as 180001. */
  readonly version: number;
  /** Whom the session is of. */
  readonly role: string;
  readonly walLevel: string;
  readonly synchronousStandbyNames: string;
  /** -1 is without a limit. */
  readonly maxSlotWalKeepSizeMb: number;
  readonly maxReplicationSlots: number;
  readonly usedReplicationSlots: number;
  readonly maxWalSenders: number;
  readonly usedWalSenders: number;
  /** A slot that nobody uses for so long is invalidated; 0 is never, as always before PostgreSQL 18. */
  readonly idleSlotTimeoutS: number;
  /** Slots that hold back old row versions: a new slot begins no later than the oldest of them. */
  readonly horizonSlots: readonly string[];
  readonly roleCanReplicate: boolean;
  /** Membership of pg_read_all_stats, without which others' walsenders and the WAL receiver show no state. */
  readonly roleCanReadStats: boolean;
  readonly hotStandbyFeedback: boolean;
  readonly isInRecovery: boolean;
  readonly systemId: string;
}

/** What a server is set to, as far as the bus depends on it. */
export async function readServerSettings(sql: Sql): Promise<ServerSettings> {
  const [row] = await sql.query<SettingsRow & Record<string, unknown>>(SETTINGS);
  return {
    version: row?.version ?? 0,
    role: row?.role ?? '',
    walLevel: row?.wal_level ?? '',
    synchronousStandbyNames: row?.standbys ?? '',
    maxSlotWalKeepSizeMb: row?.keep_mb ?? -1,
    maxReplicationSlots: row?.slots_max ?? 0,
    usedReplicationSlots: row?.slots_used ?? 0,
    maxWalSenders: row?.senders_max ?? 0,
    usedWalSenders: row?.senders_used ?? 0,
    idleSlotTimeoutS: row?.idle_timeout_s ?? 0,
    horizonSlots: row?.horizons ?? [],
    roleCanReplicate: row?.can_replicate === true,
    roleCanReadStats: row?.can_read_stats === true,
    hotStandbyFeedback: row?.feedback === true,
    isInRecovery: row?.is_in_recovery === true,
    systemId: row?.system_id ?? '',
  };
}

/** Whoever streams from a slot, as the server sees it. */
export interface StreamingClient {
  readonly applicationName: string;
  readonly clientAddress: string | null;
  /** `unknown` where the role may not see it: that takes pg_read_all_stats. */
  readonly state: string;
  /** WAL that it has not confirmed, in bytes. */
  readonly lagBytes: number;
}

const CLIENT = `
  SELECT r.application_name, host(r.client_addr) AS address, r.state, pg_wal_lsn_diff(pg_current_wal_lsn(), s.confirmed_flush_lsn)::bigint::text AS lag
  FROM pg_replication_slots s JOIN pg_stat_replication r ON r.pid = s.active_pid WHERE s.slot_name = $1`;

export async function readStreamingClient(sql: Sql, slotName: string): Promise<StreamingClient | undefined> {
  const [row] = await sql.query<{
    application_name: string;
    address: string | null;
    state: string | null;
    lag: string | null;
  }>(CLIENT, [slotName]);
  if (row === undefined) return undefined;
  return {
    applicationName: row.application_name,
    clientAddress: row.address,
    state: row.state ?? 'unknown',
    lagBytes: Number(row.lag ?? 0),
  };
}
