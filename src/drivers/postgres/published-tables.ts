import type { Sql } from './connection.ts';

/** A table whose changes a publication sends, as `schema.name`, and the root of its partition tree: itself where it is no partition. */
export interface SentTable {
  readonly name: string;
  readonly root: string;
}

/** pg_publication_tables names leaves, and knows what FOR ALL TABLES and TABLES IN SCHEMA come to. */
const SENT = `
  SELECT n.nspname || '.' || c.relname AS name, rn.nspname || '.' || r.relname AS root
  FROM pg_publication_tables t
  JOIN pg_namespace n ON n.nspname = t.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
  JOIN pg_class r ON r.oid = coalesce(pg_partition_root(c.oid), c.oid)
  JOIN pg_namespace rn ON rn.oid = r.relnamespace
  WHERE t.pubname = $1
  ORDER BY 1`;

/** Reads what a publication sends now; nothing if there is none of the name. */
export async function readSentTables(sql: Sql, publication: string): Promise<SentTable[]> {
  return sql.query<SentTable & Record<string, unknown>>(SENT, [publication]);
}

const WHOLE = `
  SELECT c.oid
  FROM pg_publication_tables t
  JOIN pg_namespace n ON n.nspname = t.schemaname
  JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.tablename
  JOIN pg_publication p ON p.pubname = t.pubname
  WHERE t.pubname = $1
    AND NOT EXISTS (SELECT FROM pg_publication_rel r WHERE r.prpubid = p.oid AND r.prrelid = c.oid AND r.prattrs IS NOT NULL)`;

/** The OIDs of the tables that a publication sends with all their columns. */
export async function readWholeTables(sql: Sql, publication: string): Promise<number[]> {
  const rows = await sql.query<{ oid: number }>(WHOLE, [publication]);
  return rows.map(({ oid }) => oid);
}
