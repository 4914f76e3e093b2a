import type { Sql } from './connection.ts';

/** What a publication says of one table. */
export interface PublishedTable {
  readonly schema: string;
  readonly name: string;
  /** The column list in the table's order, or null for every column. */
  readonly columns: readonly string[] | null;
  /** Whether only some rows are published. Ours never have that: a row that leaves the filter would leave caches stale. */
  readonly hasRowFilter: boolean;
}

export interface Publication {
  readonly name: string;
  /** FOR ALL TABLES, which cannot be altered into a list. */
  readonly isForAllTables: boolean;
  /** Schemas of which all tables are published. */
  readonly schemas: readonly string[];
  readonly viaPartitionRoot: boolean;
  /** Whether it publishes all of insert, update, delete and truncate. */
  readonly publishesAll: boolean;
  /** Tables that are named, in the order of their names. */
  readonly tables: readonly PublishedTable[];
}

interface PublicationRow {
  readonly all_tables: boolean;
  readonly via_root: boolean;
  readonly publishes_all: boolean;
  readonly schemas: string[] | null;
  readonly tables: { schema: string; name: string; columns: string[] | null; filtered: boolean }[] | null;
}

const PUBLICATION = `
  SELECT p.puballtables AS all_tables,
         p.pubviaroot AS via_root,
         p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate AS publishes_all,
         (SELECT json_agg(n.nspname ORDER BY n.nspname)
            FROM pg_publication_namespace pn JOIN pg_namespace n ON n.oid = pn.pnnspid WHERE pn.pnpubid = p.oid) AS schemas,
         (SELECT json_agg(json_build_object(
                   'schema', n.nspname, 'name', c.relname, 'filtered', pr.prqual IS NOT NULL,
                   'columns', (SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                               WHERE a.attrelid = c.oid AND a.attnum = ANY (pr.prattrs)))
                 ORDER BY n.nspname, c.relname)
            FROM pg_publication_rel pr JOIN pg_class c ON c.oid = pr.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
           WHERE pr.prpubid = p.oid) AS tables
  FROM pg_publication p
  WHERE p.pubname = $1`;

/** Reads a publication as it is now; null if there is none of the name. */
export async function readPublication(sql: Sql, name: string): Promise<Publication | null> {
  const [row] = await sql.query<PublicationRow & Record<string, unknown>>(PUBLICATION, [name]);
  if (row === undefined) return null;
  return {
    name,
    isForAllTables: row.all_tables,
    schemas: row.schemas ?? [],
    viaPartitionRoot: row.via_root,
    publishesAll: row.publishes_all,
    tables: (row.tables ?? []).map(({ filtered, ...table }) => ({ ...table, hasRowFilter: filtered })),
  };
}
