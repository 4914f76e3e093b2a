import type { BufferConfig, TableName } from '../../config/bus-config.ts';
import { quoteIdentifier, quoteTable } from './sql-text.ts';

/** The types of a table's columns, as a cast writes them. */
export type ColumnTypes = ReadonlyMap<string, string>;

/**
 * The statement that writes a batch: one row a key, from one array of texts for each column of the key and for each value. It returns one row with how
 * many rows it changed, in `changed`, where that is asked of a table.
 *
 * Two texts may be one value of the column, as `1` and `01` are; they are joined here, since a row that is written twice by one INSERT is an error (21000).
 */
export function batchStatement(config: BufferConfig, types: ColumnTypes): string {
  const { kind, target, key, columns } = config;
  if (target.kind === 'statement') {
    const given = [...key, ...(kind === 'counter' ? ['n'] : columns)];
    const values = given.map((name, i) => `c${i}${name === 'n' && kind === 'counter' ? '::numeric' : ''}`);
    const list = given.map((name, i) => `${values[i]} AS ${quoteIdentifier(name)}`).join(', ');
    return `WITH batch AS (SELECT ${list} FROM ${unnested(given.length)})\n${target.text}`;
  }
  const names = kind === 'counter' ? [target.column] : columns;
  const typed = (name: string, i: number): string => `c${i}::${typeOf(types, target.table, name)}`;
  const keys = key.map(typed);
  const values = names.map((name, i) => typed(name, key.length + i));
  const batch =
    kind === 'counter'
      ? `SELECT ${aliased(keys, 'k')}, ${aliased([`sum(c${key.length}::numeric)::${typeOf(types, target.table, target.column)}`], 'v')} FROM ${unnested(key.length + 1)} GROUP BY ${ordinals(keys)}`
      : `SELECT DISTINCT ON (${keys.join(', ')}) ${aliased(keys, 'k')}, ${aliased(values, 'v')} FROM ${unnested(key.length + names.length)} ORDER BY ${keys.join(', ')}, place DESC`;
  const write = target.makesRows ? upsert(config, target.table, names) : update(config, target.table, names);
  return `WITH batch AS (${batch}),\nwritten AS (${write} RETURNING 1)\nSELECT count(*)::text AS changed FROM written`;
}

/** In the order in which locks are taken by whoever else writes the table in key order. */
function upsert({ kind, key }: BufferConfig, table: TableName, names: readonly string[]): string {
  const all = [...key, ...names].map(quoteIdentifier).join(', ');
  const from = [...key.map((_, i) => `k${i}`), ...names.map((_, i) => `v${i}`)].join(', ');
  const sets = names.map((name) => {
    const column = quoteIdentifier(name);
    return `${column} = ${kind === 'counter' ? `coalesce(target.${column}, 0) + excluded.${column}` : `excluded.${column}`}`;
  });
  return `INSERT INTO ${quoteTable(table)} AS target (${all}) SELECT ${from} FROM batch ORDER BY ${ordinals(key)}
ON CONFLICT (${key.map(quoteIdentifier).join(', ')}) DO UPDATE SET ${sets.join(', ')}`;
}

function update({ kind, key }: BufferConfig, table: TableName, names: readonly string[]): string {
  const sets = names.map((name, i) => {
    const column = quoteIdentifier(name);
    return `${column} = ${kind === 'counter' ? `coalesce(target.${column}, 0) + v${i}` : `v${i}`}`;
  });
  const where = key.map((name, i) => `target.${quoteIdentifier(name)} = k${i}`);
  return `UPDATE ${quoteTable(table)} AS target SET ${sets.join(', ')} FROM batch WHERE ${where.join(' AND ')}`;
}

function unnested(columns: number): string {
  const arrays = Array.from({ length: columns }, (_, i) => `$${i + 1}::text[]`).join(', ');
  const names = Array.from({ length: columns }, (_, i) => `c${i}`).join(', ');
  return `unnest(${arrays}) WITH ORDINALITY AS given (${names}, place)`;
}

function aliased(expressions: readonly string[], letter: string): string {
  return expressions.map((one, i) => `${one} AS ${letter}${i}`).join(', ');
}

function ordinals(of: readonly unknown[]): string {
  return of.map((_, i) => i + 1).join(', ');
}

function typeOf(types: ColumnTypes, table: TableName, column: string): string {
  const type = types.get(column);
  if (type === undefined) throw new RangeError(`${table.schema}.${table.name} has no column ${column}.`);
  return type;
}

/** Of one dimension, as `array_in` reads it. */
export function arrayLiteral(values: readonly (string | null)[]): string {
  const parts = values.map((value) => (value === null ? 'NULL' : `"${value.replaceAll(/[\\"]/g, String.raw`\$&`)}"`));
  return `{${parts.join(',')}}`;
}
