import type { Sql } from './connection.ts';

export interface TableName {
  readonly schema: string;
  readonly name: string;
}

export interface CatalogColumn {
  readonly name: string;
  /** The type as the table has it, possibly a domain. */
  readonly typeOid: number;
  /** The name of the type, of a domain's base type where it is one: `int4`, `uuid`, `text`. */
  readonly baseType: string;
  /** `typtype` of that base type: b base, c composite, e enum, r range, m multirange, p pseudo. */
  readonly baseTypeKind: string;
  /** False for a collation under which different texts can be equal. */
  readonly isDeterministic: boolean;
  readonly isNotNull: boolean;
  /** Computed from others. Before PostgreSQL 18 the stream never carries such a column. */
  readonly isGenerated: boolean;
}

/** Which old columns an update or delete carries. */
export interface Identity {
  /** As set by `REPLICA IDENTITY`. */
  readonly setting: 'default' | 'nothing' | 'full' | 'index';
  /**
   * The columns that it comes to, in the table's order; null if there are none: a DEFAULT without primary key, an index that was dropped,
   * or NOTHING. With FULL these are all columns.
   */
  readonly columns: readonly string[] | null;
}

/** A table that stores rows: the table itself, a partition, or one that inherits from it. */
export interface StoredTable extends TableName {
  readonly oid: number;
  readonly kind: 'table' | 'foreign' | 'other';
  readonly isUnlogged: boolean;
  readonly identity: Identity;
}

/** What a table's rows look like and where they are. */
export interface CatalogTable extends TableName {
  readonly oid: number;
  readonly kind: 'table' | 'partitioned' | 'view' | 'foreign' | 'other';
  readonly isUnlogged: boolean;
  readonly columns: readonly CatalogColumn[];
  readonly identity: Identity;
  /** What a new partition gets, and with it its identity. */
  readonly hasPrimaryKey: boolean;
  /** The root of the partition tree that it is a part of; null if it is no partition. */
  readonly partitionRoot: TableName | null;
  /** Where its rows are: all leaves of a partitioned table; else itself, and first, and whatever inherits from it. */
  readonly stored: readonly StoredTable[];
  /** Every other table of its tree, levels between root and leaves among them. */
  readonly descendants: readonly (TableName & { readonly oid: number })[];
}

interface RelationRow {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly relkind: string;
  readonly unlogged: boolean;
  readonly ident: string;
  readonly ident_columns: string[] | null;
  readonly has_primary_key: boolean;
  readonly root_schema: string | null;
  readonly root_name: string | null;
  /** The named table in whose tree it was found. */
  readonly of: number;
  readonly columns: ColumnRow[] | null;
}

interface ColumnRow {
  readonly name: string;
  readonly type: number;
  readonly base: string;
  readonly base_kind: string;
  readonly deterministic: boolean;
  readonly not_null: boolean;
  readonly generated: boolean;
}

/**
 * All named tables with their trees, identities and, for the named, columns. One statement, so one state of the catalog. A deferrable primary key
 * is no identity.
 */
const TABLES = `
  WITH RECURSIVE named AS (
    SELECT c.oid FROM unnest($1::text[], $2::text[]) AS t (schema, name)
    JOIN pg_namespace n ON n.nspname = t.schema JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t.name
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  ), tree (oid, of) AS (
    SELECT oid, oid FROM named
    UNION
    SELECT i.inhrelid, tree.of FROM pg_inherits i JOIN tree ON i.inhparent = tree.oid
  ), base (oid, of) AS (
    SELECT oid, oid FROM pg_type WHERE typtype <> 'd'
    UNION
    SELECT base.oid, d.oid FROM pg_type d JOIN base ON d.typbasetype = base.of WHERE d.typtype = 'd'
  )
  SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind, c.relpersistence = 'u' AS unlogged,
         c.relreplident AS ident, tree.of, rn.nspname AS root_schema, r.relname AS root_name,
         EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND x.indimmediate) AS has_primary_key,
         (SELECT json_agg(a.attname ORDER BY a.attnum)
            FROM pg_attribute a
           WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
             AND CASE c.relreplident
                   WHEN 'f' THEN true
                   WHEN 'n' THEN false
                   ELSE EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisvalid AND x.indimmediate
                                 AND CASE c.relreplident WHEN 'd' THEN x.indisprimary ELSE x.indisreplident END
                                 AND a.attnum = ANY (x.indkey[0:x.indnkeyatts - 1]))
                 END) AS ident_columns,
         CASE WHEN tree.of = c.oid THEN (
           SELECT json_agg(json_build_object(
                    'name', a.attname, 'type', a.atttypid::int8, 'base', t.typname, 'base_kind', t.typtype,
                    'deterministic', coalesce(l.collisdeterministic, true), 'not_null', a.attnotnull,
                    'generated', a.attgenerated <> '') ORDER BY a.attnum)
             FROM pg_attribute a JOIN base ON base.of = a.atttypid JOIN pg_type t ON t.oid = base.oid
             LEFT JOIN pg_collation l ON l.oid = a.attcollation
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) END AS columns
  FROM tree JOIN pg_class c ON c.oid = tree.oid JOIN pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_class r ON c.relispartition AND r.oid = pg_partition_root(c.oid)
  LEFT JOIN pg_namespace rn ON rn.oid = r.relnamespace
  ORDER BY tree.of, tree.of <> c.oid, n.nspname, c.relname`;

/**
 * Reads the facts of the named tables that exist, in one query. The result is keyed by `schema.name` as given; a name without an entry is
 * not in the database.
 */
export async function readTables(sql: Sql, tables: readonly TableName[]): Promise<ReadonlyMap<string, CatalogTable>> {
  const values = [tables.map(({ schema }) => schema), tables.map(({ name }) => name)];
  const rows = await sql.query<RelationRow & Record<string, unknown>>(TABLES, values);
  const trees = Map.groupBy(rows, ({ of }) => of);
  const found = new Map<string, CatalogTable>();
  for (const tree of trees.values()) {
    const [named, ...descendants] = tree;
    if (named !== undefined) found.set(`${named.schema}.${named.name}`, tableOf(named, descendants));
  }
  return found;
}

function tableOf(row: RelationRow, descendants: readonly RelationRow[]): CatalogTable {
  const { oid, schema, name } = row;
  return {
    oid,
    schema,
    name,
    kind: KINDS[row.relkind] ?? 'other',
    isUnlogged: row.unlogged,
    columns: (row.columns ?? []).map(columnOf),
    identity: identityOf(row),
    hasPrimaryKey: row.has_primary_key,
    partitionRoot: row.root_name === null ? null : { schema: row.root_schema ?? '', name: row.root_name },
    stored: [row, ...descendants].filter(({ relkind }) => relkind !== 'p').map(storedOf),
    descendants: descendants.map((each) => ({ oid: each.oid, schema: each.schema, name: each.name })),
  };
}

function storedOf(row: RelationRow): StoredTable {
  const { oid, schema, name, relkind, unlogged } = row;
  const kind = relkind === 'r' ? 'table' : relkind === 'f' ? 'foreign' : 'other';
  return { oid, schema, name, kind, isUnlogged: unlogged, identity: identityOf(row) };
}

function identityOf({ ident, ident_columns }: RelationRow): Identity {
  return { setting: IDENTITIES[ident] ?? 'nothing', columns: ident_columns };
}

function columnOf(row: ColumnRow): CatalogColumn {
  return {
    name: row.name,
    typeOid: row.type,
    baseType: row.base,
    baseTypeKind: row.base_kind,
    isDeterministic: row.deterministic,
    isNotNull: row.not_null,
    isGenerated: row.generated,
  };
}

const KINDS: Readonly<Record<string, CatalogTable['kind']>> = {
  r: 'table',
  p: 'partitioned',
  v: 'view',
  m: 'view',
  f: 'foreign',
};

const IDENTITIES: Readonly<Record<string, Identity['setting']>> = { d: 'default', n: 'nothing', f: 'full', i: 'index' };
