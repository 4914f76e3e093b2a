import type { BusConfig } from '../config/bus-config.ts';
import type { CatalogTable } from '../drivers/postgres/catalog.ts';
import { BusError } from '../protocol/errors.ts';
import type { Invalidation } from '../protocol/invalidation.ts';
import type { OldImage, RowImage, StreamRelation } from '../relay/from-postgres.ts';
import { Router, tableText } from '../relay/route.ts';
import type { WidenReason } from '../relay/route-row.ts';

export type RowOperation = 'insert' | 'update' | 'delete' | 'truncate';

export interface ExplainedChange {
  readonly operation: RowOperation;
  /** The row before the change, or the new one of an insert: column -> text, null for NULL. */
  readonly row: Readonly<Record<string, string | null>>;
  /** What an update sets. */
  readonly set: Readonly<Record<string, string | null>>;
}

export interface Explanation {
  readonly table: string;
  readonly operation: RowOperation;
  readonly invalidations: readonly Invalidation[];
  /** Why something is larger than a key. */
  readonly widened: readonly { readonly reason: WidenReason; readonly family: string }[];
}

/** Says what the relay would make of a change: the same router, fed with the row as the stream would bring it. */
export function explain(config: BusConfig, table: CatalogTable, change: ExplainedChange): Explanation {
  const invalidations: Invalidation[] = [];
  const widened: { reason: WidenReason; family: string }[] = [];
  const router = new Router(config, {
    invalidate: (item) => invalidations.push(item),
    widened: (reason, _table, family) => widened.push({ reason, family }),
  });
  const ruleTable = tableText(table);
  const relation = relationOf(table);
  checkColumns(config, ruleTable, relation, change);
  router.define(relation, ruleTable);
  const before = imageOf(relation, change.row);
  const after = imageOf(relation, { ...change.row, ...change.set });
  const isFull = relation.replicaIdentity === 'full';
  const movesKey = relation.columns.some(
    ({ name, partOfIdentity }) => partOfIdentity && name in change.set && change.set[name] !== change.row[name],
  );
  const oldImage: OldImage = isFull ? 'full' : movesKey || change.operation === 'delete' ? 'key' : 'none';
  if (change.operation === 'insert') router.insert(relation, before);
  else if (change.operation === 'delete') router.delete(relation, before, oldImage);
  else if (change.operation === 'truncate') router.wholeTable(ruleTable);
  else router.update(relation, oldImage === 'none' ? null : before, oldImage, after);
  return {
    table: ruleTable,
    operation: change.operation,
    invalidations: unique(invalidations),
    widened: unique(widened),
  };
}

function relationOf(table: CatalogTable): StreamRelation {
  const identity = table.stored[0]?.identity ?? table.identity;
  const columns = table.columns.map(({ name, typeOid }) => ({
    name,
    typeOid,
    partOfIdentity: identity.columns?.includes(name) ?? false,
  }));
  return { id: table.oid, schema: table.schema, name: table.name, replicaIdentity: identity.setting, columns };
}

/** A column that a rule reads and that the command line leaves out would be a guess. */
function checkColumns(
  config: BusConfig,
  ruleTable: string,
  relation: StreamRelation,
  { operation, row, set }: ExplainedChange,
): void {
  for (const name of [...Object.keys(row), ...Object.keys(set)]) {
    if (!relation.columns.some((column) => column.name === name))
      throw new BusError('SETTING_INVALID', `${ruleTable} has no column "${name}".`);
  }
  if (operation !== 'update' && Object.keys(set).length > 0)
    throw new BusError('SETTING_INVALID', `--set is what an update changes: it says nothing of ${operation}.`);
  if (operation === 'truncate') return;
  const ruled = [...config.families.values(), ...config.tagRules]
    .flatMap((one) => one.rules)
    .filter((rule) => tableText(rule.table) === ruleTable);
  if (ruled.length === 0)
    throw new BusError('SETTING_INVALID', `No rule of the file names ${ruleTable}: its changes make nothing old.`);
  const missing = new Set(ruled.flatMap((rule) => rule.columns).filter((column) => !(column in row)));
  if (missing.size > 0)
    throw new BusError(
      'SETTING_INVALID',
      `The rules read ${[...missing].join(', ')} of ${ruleTable}: give each as column=value.`,
    );
}

function imageOf(relation: StreamRelation, values: Readonly<Record<string, string | null>>): RowImage {
  const list = relation.columns.map(({ name }) => (name in values ? (values[name] ?? null) : undefined));
  return {
    kind: (column) => (list[column] === null ? 'null' : list[column] === undefined ? 'unchanged' : 'text'),
    text: (column) => list[column] ?? '',
  };
}

function unique<T>(items: readonly T[]): T[] {
  return [...new Map(items.map((item) => [JSON.stringify(item), item])).values()];
}

const REASONS: Readonly<Record<WidenReason, string>> = {
  identity: 'the replica identity does not hold the old value; `afterwrite setup` repairs it',
  toast: 'the value is stored apart and did not change, so the log does not carry it',
  column: 'a column of the rule is missing, or of a type without a canonical text',
  value: 'a value has no canonical text',
  length: 'the key is too long',
  message: 'a message could not be understood',
  partition: 'the partition is not known',
};

export function explanationLines({ table, operation, invalidations, widened }: Explanation): string[] {
  const lines = invalidations.map((item) => {
    if (item.scope === 'key') return `  key     ${item.key}   (family ${item.family}, ${item.act})`;
    return item.scope === 'tag' ? `  tag     ${item.tag}` : `  family  ${item.family}   (${item.act})`;
  });
  const why = widened.map(({ reason, family }) => `  because of ${family}: ${REASONS[reason]}`);
  return [`${operation} of ${table} makes old:`, ...(lines.length === 0 ? ['  nothing'] : lines), ...why];
}

/** `column=value`; an unquoted NULL is SQL's. */
export function readAssignments(list: readonly string[]): Record<string, string | null> {
  const values = new Map<string, string | null>();
  for (const text of list) {
    const at = text.indexOf('=');
    if (at < 1) throw new BusError('SETTING_INVALID', `"${text}" is no assignment: column=value is expected.`);
    const name = text.slice(0, at);
    if (values.has(name)) throw new BusError('SETTING_INVALID', `"${name}" is given twice: one value is expected.`);
    const value = text.slice(at + 1);
    values.set(name, value === 'NULL' ? null : value);
  }
  return Object.fromEntries(values);
}
