import { keyTypeOfOid, type KeyType } from '../protocol/key-parameter.ts';
import type { TableName } from './bus-config.ts';
import type { ColumnFacts, TableFacts } from './catalog-facts.ts';

interface TableFault {
  readonly message: string;
  readonly repair?: string;
}

/** What is wrong with a table that a rule names, its columns apart. `keyColumns` are those that the rule reads. */
export function tableFaults(
  facts: TableFacts,
  keyColumns: readonly string[],
): { readonly faults: TableFault[]; readonly warnings: TableFault[] } {
  if (facts.kind !== 'table' && facts.kind !== 'partitioned') {
    const kind = facts.kind === 'foreign' ? 'a foreign table' : facts.kind === 'view' ? 'a view' : 'no table';
    const message = `${nameOf(facts)} is ${kind}: a table is expected, whose changes are in this server’s log`;
    return { faults: [{ message }], warnings: [] };
  }
  const faults: TableFault[] = [];
  const warnings: TableFault[] = [];
  const parts = [facts, ...facts.stored.filter((part) => nameOf(part) !== nameOf(facts))];
  for (const part of parts.filter(({ isUnlogged }) => isUnlogged === true))
    faults.push({
      message: `${nameOf(part)} is unlogged, so its changes are in no log: a logged table is expected`,
      repair: `ALTER TABLE ${sqlName(part)} SET LOGGED`,
    });
  for (const part of facts.stored) {
    if (part.kind === 'foreign') {
      faults.push({
        message: `${nameOf(part)}, a part of it, is a foreign table, whose changes are not in this server’s log`,
      });
      continue;
    }
    const identity = part.identity.columns;
    const missing = keyColumns.filter((column) => identity?.includes(column) === false);
    if (identity === null)
      faults.push({
        message: `${nameOf(part)} has no replica identity: once it is published its UPDATE and DELETE would fail. A primary key is expected, or all columns as the identity, and \`afterwrite setup\` afterwards`,
        repair: `ALTER TABLE ${sqlName(part)} REPLICA IDENTITY FULL`,
      });
    else if (missing.length > 0)
      // Not the bare ALTER TABLE: run by itself on a table that is published with a column list, it would make every UPDATE fail.
      warnings.push({
        message: `the replica identity of ${nameOf(part)} lacks ${missing.join(', ')}: each UPDATE and DELETE makes all of it old. \`afterwrite setup\` repairs it`,
        repair: 'afterwrite setup',
      });
  }
  return { faults, warnings };
}

const EXPECTED = 'text, varchar, smallint, integer, bigint, uuid, boolean or date is expected';

/** Why no key can be printed from a column, or undefined. */
export function columnFault(facts: TableFacts, name: string): string | undefined {
  const column = columnOf(facts, name);
  if (column === undefined) {
    const known = facts.columns.map((one) => one.name).join(', ');
    return `${nameOf(facts)} has no column "${name}"; it has ${known}`;
  }
  if (column.isGenerated === true)
    return `column "${name}" is generated, and the log carries no generated columns: those that it is computed from are expected`;
  if (keyTypeOfOid(column.typeOid) === undefined) {
    // A domain has an OID of its own, which differs from database to database; the stream says that one only.
    const type = CANONICAL.has(column.baseType) ? `a domain over ${column.baseType}` : column.baseType;
    return `column "${name}" is of type ${type}, which has no canonical text: ${EXPECTED}`;
  }
  if (!column.isDeterministic)
    return `column "${name}" has a nondeterministic collation, under which texts are equal that print as different keys: a deterministic one is expected`;
  return undefined;
}

/** The type that a column's values are printed as, if they can be. */
export function columnType(facts: TableFacts, name: string): KeyType | undefined {
  const column = columnOf(facts, name);
  return column === undefined ? undefined : keyTypeOfOid(column.typeOid);
}

const CANONICAL = new Set(['text', 'varchar', 'int2', 'int4', 'int8', 'uuid', 'bool', 'date']);

function columnOf(facts: TableFacts, name: string): ColumnFacts | undefined {
  return facts.columns.find((column) => column.name === name);
}

function nameOf({ schema, name }: TableName): string {
  return `${schema}.${name}`;
}

/** As SQL reads it: quoted where the name is not plain. */
function sqlName({ schema, name }: TableName): string {
  return [schema, name]
    .map((part) => (/^[a-z_][a-z0-9_]*$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join('.');
}
