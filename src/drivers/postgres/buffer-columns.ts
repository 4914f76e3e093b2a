import type { BufferConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import type { SqlStatement } from './buffer-sink.ts';
import type { ColumnTypes } from './buffer-statement.ts';

/**
 * The columns of a table, and which of them a new row cannot do without: a BEFORE INSERT trigger may fill any (its `tgtype` has ROW, BEFORE and INSERT as the
 * bits 1, 2 and 4), and so may a domain's default.
 */
const COLUMNS = `SELECT a.attname::text AS name, format_type(a.atttypid, NULL) AS type,
         (a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND t.typdefault IS NULL AND NOT EXISTS (
           SELECT FROM pg_catalog.pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 7 = 7))::text AS required
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
   WHERE n.nspname = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped`;

/** The types of a table's columns, those of the buffer among them. Throws `CONFIG_INVALID` where one is not there, or a row could never be made. */
export async function readColumnTypes(
  sql: SqlStatement,
  { name: buffer, target, key, columns, kind }: BufferConfig,
): Promise<ColumnTypes> {
  if (target.kind === 'statement') return new Map();
  const { schema, name } = target.table;
  const rows = await sql(COLUMNS, [schema, name]);
  const types = new Map(rows.map((row) => [String(row['name']), String(row['type'])]));
  const written = [...key, ...(kind === 'counter' ? [target.column] : columns)];
  const missing = written.filter((column) => !types.has(column));
  // A truth value that is cast to text says `true`.
  const lacking = rows
    .filter((row) => target.makesRows && row['required'] === 'true')
    .map((row) => String(row['name']))
    .filter((column) => !written.includes(column));
  const why =
    rows.length === 0
      ? 'does not exist, or may not be seen'
      : missing.length > 0
        ? `has no column ${missing.join(', ')}`
        : lacking.length > 0
          ? `has columns without a default that may not be NULL, and every new row would be refused: ${lacking.join(', ')}`
          : undefined;
  if (why === undefined) return types;
  throw new BusError('CONFIG_INVALID', `buffers.${buffer}: the table ${schema}.${name} ${why}.`);
}
