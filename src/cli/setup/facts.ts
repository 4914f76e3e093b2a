import { BUFFER_TABLES_FOUND } from '../../drivers/postgres/buffer-tables.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import type { Sql } from '../../drivers/postgres/connection.ts';
import { readPublication } from '../../drivers/postgres/publication.ts';
import { findSlots } from '../../drivers/postgres/slot.ts';
import { DDL_SCHEMA, ddlReportNames } from './ddl-report.ts';
import type { SetupFacts, SetupWish } from './wish.ts';

interface ServerRow {
  readonly version: number;
  readonly wal_level: string;
  readonly is_standby: boolean;
  readonly body: string | null;
  readonly triggers: number;
}

const SERVER = `
  SELECT current_setting('server_version_num')::int AS version,
         current_setting('wal_level') AS wal_level,
         pg_is_in_recovery() AS is_standby,
         (SELECT p.prosrc FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
           WHERE n.nspname = $1 AND p.proname = $2 AND p.pronargs = 0) AS body,
         (SELECT count(*)::int FROM pg_event_trigger WHERE evtname IN ($3, $4)) AS triggers`;

/** Reads all that a plan is made from. It changes nothing. */
export async function readSetupFacts(sql: Sql, wish: SetupWish): Promise<SetupFacts> {
  const names = ddlReportNames(wish.bus);
  const values = [DDL_SCHEMA, names.function, names.altered, names.dropped];
  const [server] = await sql.query<ServerRow & Record<string, unknown>>(SERVER, values);
  const triggers = server?.triggers ?? 0;
  const body = server?.body ?? null;
  const [buffers] = await sql.query<{ found: string }>(BUFFER_TABLES_FOUND);
  return {
    serverVersion: server?.version ?? 0,
    walLevel: server?.wal_level ?? '',
    isStandby: server?.is_standby === true,
    tables: await readTables(sql, wish.tables),
    publication: await readPublication(sql, wish.publication),
    slots: await findSlots(sql, wish.slotPrefix, wish.publication),
    ddlReportBody: triggers === 2 ? body : null,
    hasDdlReport: triggers > 0 || body !== null,
    hasBufferTables: buffers?.found === 'true',
  };
}
