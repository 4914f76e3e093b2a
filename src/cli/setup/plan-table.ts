import type { CatalogTable, StoredTable, TableName } from '../../drivers/postgres/catalog.ts';
import type { PublishedTable } from '../../drivers/postgres/publication.ts';
import { quoteTable } from '../../drivers/postgres/sql-text.ts';
import type { Refusal, WishedTable } from './wish.ts';

/** How one table gets into the publication: what is listed, and which identities are made FULL in the same transaction. */
export interface TablePlan {
  readonly published: readonly PublishedTable[];
  readonly madeFull: readonly TableName[];
  readonly notes: readonly string[];
}

/**
 * Decides how a table is published so that the application's own UPDATE and DELETE go on working. Postgres refuses them on a published
 * table that has no replica identity, or one that the column list does not cover. It checks that where the row is: on each partition.
 */
export function planTable(
  wished: WishedTable,
  table: CatalogTable | undefined,
  repairIdentity: boolean,
): TablePlan | Refusal {
  if (table === undefined) return refuse(wished, 'it does not exist', []);
  return (
    refuseKind(table) ??
    refuseColumns(wished, table) ??
    refuseStored(table) ??
    publish(wished.keyColumns, table, repairIdentity)
  );
}

export function isRefusal(plan: TablePlan | Refusal): plan is Refusal {
  return 'repair' in plan;
}

function refuse(table: TableName, why: string, repair: readonly string[]): Refusal {
  return { subject: `${table.schema}.${table.name}`, why, repair };
}

function refuseKind(table: CatalogTable): Refusal | undefined {
  switch (table.kind) {
    case 'view':
      return refuse(table, 'it is a view: name the tables that it reads', []);
    case 'foreign':
    case 'other':
      return refuse(table, 'its rows are not in this database, so neither are their changes', []);
    case 'partitioned':
      if (table.hasPrimaryKey) return undefined;
      // Each new partition would be published at once, without identity.
      return refuse(table, 'without a primary key its future partitions would refuse every UPDATE and DELETE', [
        `ALTER TABLE ${quoteTable(table)} ADD PRIMARY KEY (...);`,
      ]);
    case 'table':
      return undefined;
  }
}

function refuseColumns(wished: WishedTable, table: CatalogTable): Refusal | undefined {
  for (const name of wished.keyColumns) {
    const column = table.columns.find((each) => each.name === name);
    if (column === undefined) return refuse(table, `it has no column "${name}"`, []);
    if (!column.isGenerated) continue;
    return refuse(table, `its column "${name}" is generated, and the stream carries no generated columns`, []);
  }
  return undefined;
}

function refuseStored(table: CatalogTable): Refusal | undefined {
  for (const stored of table.stored) {
    const name = `${stored.schema}.${stored.name}`;
    if (stored.kind !== 'table') return refuse(table, `the rows of ${name} are not in this database`, []);
    if (!stored.isUnlogged) continue;
    return refuse(table, `${name} is unlogged, so its changes are not in the log`, [
      `ALTER TABLE ${quoteTable(stored)} SET LOGGED;`,
    ]);
  }
  const without = table.stored.filter(({ identity }) => identity.columns === null);
  if (without.length === 0) return undefined;
  const names = without.map(({ schema, name }) => `${schema}.${name}`).join(', ');
  return refuse(
    table,
    `without a replica identity (${names}) Postgres would refuse every UPDATE and DELETE of a published table`,
    without.flatMap((stored) => [
      `ALTER TABLE ${quoteTable(stored)} ADD PRIMARY KEY (...);`,
      `ALTER TABLE ${quoteTable(stored)} REPLICA IDENTITY FULL;`,
    ]),
  );
}

function publish(keyColumns: readonly string[], table: CatalogTable, repairIdentity: boolean): TablePlan {
  const tooSmall = table.stored.filter(({ identity }) => !keyColumns.every((name) => identity.columns?.includes(name)));
  const madeFull = repairIdentity ? tooSmall : [];
  const notes = repairIdentity ? [] : tooSmall.map((stored) => widensNote(stored, keyColumns));
  if (table.kind === 'partitioned') {
    // No column list: Postgres takes none for a root, as long as leaves are published under their own names.
    const { schema, name } = table;
    return { published: [{ schema, name, columns: null, hasRowFilter: false }], madeFull, notes };
  }
  const published = table.stored.map((stored) => {
    const isFull = stored.identity.setting === 'full' || madeFull.includes(stored);
    const needed = new Set([...keyColumns, ...(stored.identity.columns ?? [])]);
    const { schema, name } = stored;
    return { schema, name, columns: isFull ? null : [...needed], hasRowFilter: false };
  });
  return { published, madeFull, notes };
}

function widensNote(stored: StoredTable, keyColumns: readonly string[]): string {
  const missing = keyColumns.filter((name) => stored.identity.columns?.includes(name) !== true).join(', ');
  return `${stored.schema}.${stored.name}: the replica identity lacks ${missing}, so updates and deletes invalidate whole families.`;
}
