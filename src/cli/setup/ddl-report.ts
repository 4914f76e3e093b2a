import { quoteIdentifier, quoteLiteral } from '../../drivers/postgres/sql-text.ts';

/** Ours alone, so that nothing of the application is in the way. */
export const DDL_SCHEMA = 'afterwrite';

export interface DdlReportNames {
  readonly function: string;
  /** On the end of an ALTER TABLE: columns, ATTACH, DETACH, rename. */
  readonly altered: string;
  readonly dropped: string;
}

export function ddlReportNames(bus: string): DdlReportNames {
  return {
    function: `report_ddl_${bus}`,
    altered: `afterwrite_${bus}_altered`,
    dropped: `afterwrite_${bus}_dropped`,
  };
}

/**
 * The function of the event triggers: it says which of the named tables, or of their partitions, a command changed, within the command's
 * own transaction. DETACH is silent in the stream, so this is how the bus hears of it. A table that was dropped can no longer be asked
 * whether it was a partition: unless it is named, every partitioned table is taken for changed.
 */
export function ddlReportBody(tables: readonly string[], partitioned: readonly string[]): string {
  return `
DECLARE
  named constant text[] := ${textArray(tables)};
  partitioned constant text[] := ${textArray(partitioned)};
  touched text[];
BEGIN
  IF tg_event = 'sql_drop' THEN
    SELECT array_agg(DISTINCT n) INTO touched
      FROM pg_event_trigger_dropped_objects() d, unnest(named) n
     WHERE d.object_type = 'table' AND NOT d.is_temporary
       AND (n = d.schema_name || '.' || d.object_name
            OR (n = ANY (partitioned) AND NOT d.schema_name || '.' || d.object_name = ANY (named)));
  ELSE
    SELECT array_agg(DISTINCT s.nspname || '.' || c.relname) INTO touched
      FROM pg_event_trigger_ddl_commands() d
      JOIN pg_class c ON c.oid = coalesce(pg_partition_root(d.objid), d.objid)
      JOIN pg_namespace s ON s.oid = c.relnamespace
     WHERE d.classid = 'pg_class'::regclass AND s.nspname || '.' || c.relname = ANY (named);
  END IF;
  IF touched IS NOT NULL THEN
    PERFORM pg_logical_emit_message(true, 'afterwrite', json_build_object('tables', touched)::text);
  END IF;
END
`;
}

/** The statements that put function and triggers in place, whatever of them is there. */
export function installDdlReport(bus: string, body: string): string[] {
  const names = ddlReportNames(bus);
  const call = `${quoteIdentifier(DDL_SCHEMA)}.${quoteIdentifier(names.function)}()`;
  return [
    'BEGIN',
    `CREATE SCHEMA IF NOT EXISTS ${quoteIdentifier(DDL_SCHEMA)}`,
    `CREATE OR REPLACE FUNCTION ${call} RETURNS event_trigger LANGUAGE plpgsql SET search_path = pg_catalog AS ${quoteLiteral(body)}`,
    ...dropTriggers(names),
    `CREATE EVENT TRIGGER ${quoteIdentifier(names.altered)} ON ddl_command_end WHEN TAG IN ('ALTER TABLE') EXECUTE FUNCTION ${call}`,
    `CREATE EVENT TRIGGER ${quoteIdentifier(names.dropped)} ON sql_drop WHEN TAG IN ('DROP TABLE', 'DROP SCHEMA', 'DROP OWNED') EXECUTE FUNCTION ${call}`,
    'COMMIT',
  ];
}

export function removeDdlReport(bus: string): string[] {
  const names = ddlReportNames(bus);
  const call = `${quoteIdentifier(DDL_SCHEMA)}.${quoteIdentifier(names.function)}()`;
  return ['BEGIN', ...dropTriggers(names), `DROP FUNCTION IF EXISTS ${call}`, 'COMMIT'];
}

function dropTriggers({ altered, dropped }: DdlReportNames): string[] {
  return [altered, dropped].map((name) => `DROP EVENT TRIGGER IF EXISTS ${quoteIdentifier(name)}`);
}

function textArray(texts: readonly string[]): string {
  return `ARRAY[${texts.map(quoteLiteral).join(', ')}]::text[]`;
}
