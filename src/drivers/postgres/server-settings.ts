import type { Sql } from './connection.ts';

interface SettingsRow {
  readonly version: number;
  readonly wal_level: string;
  readonly standbys: string;
  readonly keep_mb: number;
  readonly slots_max: number;
  readonly slots_used: number;
  readonly senders_max: number;
  readonly senders_used: number;
  readonly can_replicate: boolean;
  readonly is_in_recovery: boolean;
  readonly system_id: string;
}

const SETTINGS = `
  SELECT current_setting('server_version_num')::int AS version,
         current_setting('wal_level') AS wal_level,
         current_setting('synchronous_standby_names') AS standbys,
         (SELECT setting::int FROM pg_settings WHERE name = 'max_slot_wal_keep_size') AS keep_mb,
         current_setting('max_replication_slots')::int AS slots_max,
         (SELECT count(*)::int FROM pg_replication_slots) AS slots_used,
         current_setting('max_wal_senders')::int AS senders_max,
         (SELECT count(*)::int FROM pg_stat_replication) AS senders_used,
         (SELECT rolreplication OR rolsuper FROM pg_roles WHERE rolname = current_user) AS can_replicate,
         pg_is_in_recovery() AS is_in_recovery,
         (SELECT system_identifier::text FROM pg_control_system()) AS system_id`;

/** What a server is set to, as far as the bus depends on it. */
export async function readServerSettings(sql: Sql) {
  const [row] = await sql.query<SettingsRow & Record<string, unknown>>(SETTINGS);
  return {
    version: row?.version ?? 0,
    walLevel: row?.wal_level ?? '',
    synchronousStandbyNames: row?.standbys ?? '',
    maxSlotWalKeepSizeMb: row?.keep_mb ?? -1,
    maxReplicationSlots: row?.slots_max ?? 0,
    usedReplicationSlots: row?.slots_used ?? 0,
    maxWalSenders: row?.senders_max ?? 0,
    usedWalSenders: row?.senders_used ?? 0,
    roleCanReplicate: row?.can_replicate === true,
    isInRecovery: row?.is_in_recovery === true,
    systemId: row?.system_id ?? '',
  };
}

/** Whoever streams from a slot, as the server sees it. */
export interface StreamingClient {
  readonly applicationName: string;
  readonly clientAddress: string | null;
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
    state: string;
    lag: string | null;
  }>(CLIENT, [slotName]);
  if (row === undefined) return undefined;
  return {
    applicationName: row.application_name,
    clientAddress: row.address,
    state: row.state,
    lagBytes: Number(row.lag ?? 0),
  };
}
