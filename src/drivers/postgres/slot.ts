import { BusError } from '../../protocol/errors.ts';
import { type Lsn, lsnFromPostgres } from '../../protocol/lsn.ts';
import type { Sql } from './connection.ts';
import { quoteLiteral } from './sql-text.ts';

/** The random part of a slot's name: a slot that is made anew is another slot, though everything else is as before. */
const IDENTITY = /^[0-9a-f]{8}$/;

export interface Slot {
  readonly name: string;
  /** The 8 hex digits after the prefix. */
  readonly identity: string;
  readonly database: string;
  readonly isActive: boolean;
  /** `lost` cannot be read any more; `unreserved` is about to be lost. Null while WAL was never reserved. */
  readonly walStatus: 'reserved' | 'extended' | 'unreserved' | 'lost' | null;
  readonly restartLsn: Lsn | null;
  /** The end LSN that was last confirmed. */
  readonly confirmedLsn: Lsn | null;
  /** WAL that the server keeps for this slot. Null on a standby, or where nothing is kept. */
  readonly retainedWalBytes: number | null;
  /** Whether standbys keep a copy; null before PostgreSQL 17. */
  readonly failover: boolean | null;
  /**
   * Whether the slot stands at WAL from before the publication was made or its options changed. Then the stream may break off, or, from
   * PostgreSQL 18 on, leave changes out. Null if there is no such publication.
   */
  readonly mayPrecedePublication: boolean | null;
}

interface SlotRow {
  readonly slot: Readonly<Record<string, unknown>>;
  readonly retained: string | null;
  readonly precedes: boolean | null;
}

/** Through jsonb, since the columns differ from version to version. A slot in another's database is none of ours. */
const SLOTS = `
  SELECT to_jsonb(s) AS slot,
         CASE WHEN NOT pg_is_in_recovery() THEN pg_wal_lsn_diff(pg_current_wal_lsn(), s.restart_lsn)::bigint END AS retained,
         (SELECT age(p.xmin) <= age(s.catalog_xmin) FROM pg_publication p WHERE p.pubname = $2) AS precedes
  FROM pg_replication_slots s
  WHERE s.slot_type = 'logical' AND s.plugin = 'pgoutput' AND s.database = current_database() AND starts_with(s.slot_name, $1)
  ORDER BY s.slot_name`;

/** Finds the slots of a bus: those named `<prefix>_<8 hex digits>` in this database. */
export async function findSlots(sql: Sql, prefix: string, publication: string): Promise<Slot[]> {
  const rows = await sql.query<SlotRow & Record<string, unknown>>(SLOTS, [`${prefix}_`, publication]);
  return rows.flatMap(({ slot, retained, precedes }) => {
    const name = String(slot['slot_name']);
    const identity = name.slice(prefix.length + 1);
    if (!IDENTITY.test(identity)) return [];
    return {
      name,
      identity,
      database: String(slot['database']),
      isActive: slot['active'] === true,
      walStatus: walStatusOf(slot),
      restartLsn: lsnOf(slot['restart_lsn']),
      confirmedLsn: lsnOf(slot['confirmed_flush_lsn']),
      retainedWalBytes: retained === null ? null : Number(retained),
      failover: typeof slot['failover'] === 'boolean' ? slot['failover'] : null,
      mayPrecedePublication: precedes,
    };
  });
}

/**
 * The one slot to stream from. Throws POSTGRES_SLOT_MISSING, POSTGRES_SLOT_INVALIDATED, or SETTING_INVALID where there are several and
 * so no telling which holds the truth.
 */
export function onlySlot(slots: readonly Slot[], prefix: string): Slot {
  const [slot, another] = slots;
  if (slot === undefined) throw new BusError('POSTGRES_SLOT_MISSING', `There is no slot ${prefix}_<8 hex digits>.`);
  if (another !== undefined) {
    const names = slots.map(({ name }) => name).join(', ');
    throw new BusError('SETTING_INVALID', `Several slots are of this bus: ${names}. Drop all but the one in use.`);
  }
  if (slot.walStatus === 'lost')
    throw new BusError('POSTGRES_SLOT_INVALIDATED', `The slot ${slot.name} has lost its WAL.`);
  return slot;
}

/**
 * The statement that makes a slot. It waits for every transaction that is running, so set `lock_timeout` before. From PostgreSQL 17 on
 * the slot may be kept on standbys too, so that it outlives a failover.
 */
export function createSlotSql(name: string, serverVersion: number): string {
  const failover = serverVersion >= 170_000 ? ', failover => true' : '';
  return `SELECT pg_create_logical_replication_slot(${quoteLiteral(name)}, 'pgoutput'${failover})`;
}

export function dropSlotSql(name: string): string {
  return `SELECT pg_drop_replication_slot(${quoteLiteral(name)})`;
}

/** PostgreSQL 18 and before say `lost` for each reason that makes a slot unreadable; 17 and later name the reason beside it. */
function walStatusOf(slot: Readonly<Record<string, unknown>>): Slot['walStatus'] {
  const status = slot['wal_status'];
  if (typeof slot['invalidation_reason'] === 'string' || slot['conflicting'] === true) return 'lost';
  return status === 'reserved' || status === 'extended' || status === 'unreserved' || status === 'lost' ? status : null;
}

function lsnOf(value: unknown): Lsn | null {
  return typeof value === 'string' ? lsnFromPostgres(value) : null;
}
