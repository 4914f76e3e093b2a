import type { ResultColumn, Sql } from './connection.ts';

/** A constraint that is NOT VALID (PostgreSQL 18) says nothing of the rows that were there before it. */
const NOT_NULL = `
  SELECT a.attrelid::int8::text || '.' || a.attnum AS place
    FROM pg_attribute a JOIN unnest($1::oid[], $2::int2[]) AS asked (relation, number)
      ON a.attrelid = asked.relation AND a.attnum = asked.number
   WHERE a.attnotnull AND NOT EXISTS (
         SELECT FROM pg_constraint c
          WHERE c.conrelid = a.attrelid AND c.contype = 'n' AND a.attnum = ANY (c.conkey) AND NOT c.convalidated)`;

/** Which of the columns were taken from a table's column that is NOT NULL. An outer join may still give NULL for it. */
export async function notNullOrigins(sql: Sql, columns: readonly ResultColumn[]): Promise<ReadonlySet<ResultColumn>> {
  const rows = await sql.query<{ place: string }>(NOT_NULL, [
    columns.map(({ tableOid }) => tableOid),
    columns.map(({ columnNumber }) => columnNumber),
  ]);
  const places = new Set(rows.map(({ place }) => place));
  return new Set(columns.filter(({ tableOid, columnNumber }) => places.has(`${tableOid}.${columnNumber}`)));
}
