import type { TableName } from '../../drivers/postgres/catalog.ts';
import type { Publication, PublishedTable } from '../../drivers/postgres/publication.ts';
import { quoteIdentifier, quoteTable } from '../../drivers/postgres/sql-text.ts';
import { isRefusal, planTable } from './plan-table.ts';
import type { Refusal, SetupFacts, SetupPlan, SetupStep, SetupWish } from './wish.ts';

/** A change of identity locks its table against everything: rather give up than have the application queue behind us. */
const TABLE_LOCK_TIMEOUT = '5s';
const OPTIONS = `publish = 'insert, update, delete, truncate', publish_via_partition_root = false`;

/** What is decided of all tables, before it is turned into statements. */
interface Decided {
  readonly published: readonly PublishedTable[];
  readonly madeFull: readonly TableName[];
  readonly refusals: readonly Refusal[];
  readonly notes: readonly string[];
}

/** Plans the publication and, in one transaction with it, the replica identities: between the two, UPDATEs would fail. */
export function planPublication(wish: SetupWish, facts: SetupFacts): SetupPlan {
  const { publication: present } = facts;
  const decided = decideTables(wish, facts);
  const { refusals, notes } = decided;
  if (present?.isForAllTables === true) {
    const name = quoteIdentifier(present.name);
    const why =
      'it is FOR ALL TABLES: it would break UPDATE and DELETE on any table without identity, and cannot be narrowed';
    const refusal = { subject: `publication ${present.name}`, why, repair: [`DROP PUBLICATION ${name};`] };
    return { steps: [], refusals: [...refusals, refusal], notes };
  }
  const changes = [
    ...changePublication(wish.publication, present, decided.published),
    ...decided.madeFull.map((table) => `ALTER TABLE ${quoteTable(table)} REPLICA IDENTITY FULL`),
  ];
  if (changes.length === 0) return { steps: [], refusals, notes };
  return { steps: [step(wish, present, decided, changes)], refusals, notes };
}

function step(
  { publication }: SetupWish,
  present: Publication | null,
  { published, madeFull }: Decided,
  changes: readonly string[],
): SetupStep {
  const tables = `${published.length} ${published.length === 1 ? 'table' : 'tables'}`;
  const made = present === null ? 'Make' : 'Change';
  const full = madeFull.map(({ schema, name }) => `${schema}.${name}`).join(', ');
  const title = `${made} the publication ${publication}: ${tables}${full === '' ? '' : `, REPLICA IDENTITY FULL for ${full}`}`;
  const why =
    'it names what the stream carries: of each table the columns that keys are made of, and its identity' +
    (full === '' ? '' : '; where the identity lacks a key column, the old key of a changed row would be unknown');
  return { title, why, sql: ['BEGIN', `SET LOCAL lock_timeout = '${TABLE_LOCK_TIMEOUT}'`, ...changes, 'COMMIT'] };
}

function decideTables({ tables, repairIdentity }: SetupWish, facts: SetupFacts): Decided {
  const published = new Map<string, PublishedTable>();
  const madeFull = new Map<string, TableName>();
  const refusals: Refusal[] = [];
  const notes: string[] = [];
  for (const wished of tables) {
    const plan = planTable(wished, facts.tables.get(nameOf(wished)), repairIdentity);
    if (isRefusal(plan)) {
      refusals.push(plan);
      continue;
    }
    for (const table of plan.published) published.set(nameOf(table), merge(published.get(nameOf(table)), table));
    for (const table of plan.madeFull) madeFull.set(nameOf(table), table);
    notes.push(...plan.notes);
  }
  return {
    published: [...published.values()]
      .filter((table) => !isPublishedByRoot(table, published, facts))
      .map((table) => (madeFull.has(nameOf(table)) ? { ...table, columns: null } : table)),
    madeFull: [...madeFull.values()],
    refusals,
    notes,
  };
}

/** A partition that is wished for by itself needs no entry, and no column list, where its root has one. */
function isPublishedByRoot(
  table: PublishedTable,
  published: ReadonlyMap<string, PublishedTable>,
  facts: SetupFacts,
): boolean {
  const root = facts.tables.get(nameOf(table))?.partitionRoot;
  return root !== null && root !== undefined && published.has(nameOf(root));
}

/** One table may be asked for twice: by itself, and as the child of another. */
function merge(before: PublishedTable | undefined, table: PublishedTable): PublishedTable {
  if (before === undefined) return table;
  if (before.columns === null || table.columns === null) return { ...table, columns: null };
  return { ...table, columns: [...new Set([...before.columns, ...table.columns])] };
}

function changePublication(
  name: string,
  present: Publication | null,
  published: readonly PublishedTable[],
): readonly string[] {
  const list = published.map(printEntry).toSorted().join(', ');
  const quoted = quoteIdentifier(name);
  if (present === null) {
    return [`CREATE PUBLICATION ${quoted}${list === '' ? '' : ` FOR TABLE ${list}`} WITH (${OPTIONS})`];
  }
  const changes: string[] = [];
  const isSame =
    present.schemas.length === 0 &&
    !present.tables.some(({ hasRowFilter }) => hasRowFilter) &&
    present.tables.map(printEntry).toSorted().join(', ') === list;
  if (!isSame) changes.push(list === '' ? dropAll(quoted, present) : `ALTER PUBLICATION ${quoted} SET TABLE ${list}`);
  if (present.viaPartitionRoot || !present.publishesAll) changes.push(`ALTER PUBLICATION ${quoted} SET (${OPTIONS})`);
  return changes;
}

/** ALTER PUBLICATION cannot set an empty list. */
function dropAll(quoted: string, { tables, schemas }: Publication): string {
  const dropped = [
    ...(tables.length === 0 ? [] : [`TABLE ${tables.map((table) => `ONLY ${quoteTable(table)}`).join(', ')}`]),
    ...(schemas.length === 0 ? [] : [`TABLES IN SCHEMA ${schemas.map(quoteIdentifier).join(', ')}`]),
  ];
  return `ALTER PUBLICATION ${quoted} DROP ${dropped.join(', ')}`;
}

/** ONLY: who inherits is listed by itself, since its identity is its own. It means nothing for a partitioned table. */
function printEntry(table: PublishedTable): string {
  const { columns } = table;
  const list = columns === null ? '' : ` (${columns.toSorted().map(quoteIdentifier).join(', ')})`;
  return `ONLY ${quoteTable(table)}${list}`;
}

function nameOf({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}
