import { BusError } from '../protocol/errors.ts';
import { canonicalText, type KeyType } from '../protocol/key-parameter.ts';
import { parseSource, type SourceTemplate } from '../protocol/source-template.ts';
import type { KeyParams } from './origin.ts';

/** A source as Postgres takes it. */
export interface SourceQuery {
  readonly text: string;
  readonly values: readonly string[];
}

/** The types of a key's parameters by name; what is missing is not known. */
export type ParameterTypes = ReadonlyMap<string, KeyType>;

/** Each parameter is sent as its canonical text, and cast: left to Postgres, `name = {id}` would compare texts, and two places could tell two types. */
const SQL_TYPE: Readonly<Record<KeyType, string>> = {
  text: 'text',
  integer: 'int8',
  uuid: 'uuid',
  boolean: 'bool',
  date: 'date',
};

/** Reads the source of a family. Throws `SOURCE_INVALID`. */
export function readSource(family: string, source: string): SourceTemplate {
  const result = parseSource(source);
  if (result.kind === 'template') return result.template;
  throw new BusError('SOURCE_INVALID', `The source of family "${family}": ${result.fault}.`, {
    at: `families.${family}.source`,
  });
}

/** Puts `$1` and the like in the places of parameters; `names` are the parameters in the order of their numbers. */
export function sourceText(
  template: SourceTemplate,
  types: ParameterTypes,
): { readonly text: string; readonly names: readonly string[] } {
  const names = [...new Set(template.parameters)];
  const places = template.parameters.map((name) => {
    const type = types.get(name);
    return `$${names.indexOf(name) + 1}${type === undefined ? '' : `::${SQL_TYPE[type]}`}`;
  });
  return { text: template.literals.map((literal, i) => `${literal}${places[i] ?? ''}`).join(''), names };
}

/** The query for one key. Throws `KEY_PARAMETER_INVALID` where a parameter is missing, or none of its type. */
export function sourceQuery(template: SourceTemplate, types: ParameterTypes, params: KeyParams): SourceQuery {
  const { text, names } = sourceText(template, types);
  return { text, values: names.map((name) => textOf(name, types.get(name), params[name])) };
}

function textOf(name: string, type: KeyType | undefined, value: unknown): string {
  if (type !== undefined) return canonicalText(type, value);
  if (typeof value === 'string') return value;
  if (typeof value === 'bigint' || typeof value === 'boolean' || Number.isFinite(value)) return String(value);
  const kind = value === null ? 'null' : typeof value;
  throw new BusError(
    'KEY_PARAMETER_INVALID',
    `The key parameter {${name}} needs a text, number or boolean; this ${kind} is none.`,
  );
}

/** The form in which a source is asked for many keys at once. */
export interface ManyForm {
  readonly text: string;
  readonly names: readonly string[];
  readonly types: ParameterTypes;
}

/**
 * The source once a key, in one statement: the keys as arrays, a column a parameter, and beside each row the place of its key, from 1.
 *
 *     SELECT k.at, q.* FROM unnest($1::int8[]) WITH ORDINALITY AS k(k1, at) CROSS JOIN LATERAL (<source>) AS q
 *
 * A parameter stands there as `(CASE WHEN true THEN k.k1 END)::int8`, which the planner folds to `k.k1`: a column's name would become that of an output column
 * that the source does not name, where a number such as `$1` has none (FigureColname in Postgres's parse_target.c). Undefined where a type is not known, or
 * there is no parameter.
 */
export function manyFormOf(template: SourceTemplate, types: ParameterTypes): ManyForm | undefined {
  const names = [...new Set(template.parameters)];
  const columns = names.map((name, i) => ({ name, type: types.get(name), column: `k${i + 1}` }));
  if (columns.length === 0 || columns.some(({ type }) => type === undefined)) return undefined;
  const places = template.parameters.map((name) => {
    const { type, column } = columns[names.indexOf(name)] ?? {};
    return `(CASE WHEN true THEN afterwrite_keys.${column} END)::${SQL_TYPE[type ?? 'text']}`;
  });
  const source = template.literals.map((literal, i) => `${literal}${places[i] ?? ''}`).join('');
  const arrays = columns.map(({ type }, i) => `$${i + 1}::${SQL_TYPE[type ?? 'text']}[]`).join(', ');
  const columnNames = [...columns.map(({ column }) => column), 'place'].join(', ');
  const text = `SELECT afterwrite_keys.place, q.* FROM unnest(${arrays}) WITH ORDINALITY AS afterwrite_keys(${columnNames})
CROSS JOIN LATERAL (${source}\n) AS q`;
  return { text, names, types };
}

/** One key's values, as they stand in the arrays. Throws `KEY_PARAMETER_INVALID`. */
export function manyValuesOf({ names, types }: ManyForm, params: KeyParams): readonly string[] {
  return names.map((name) => textOf(name, types.get(name), params[name]));
}

/** The query for keys whose values are given. */
export function sourceManyQuery({ text, names }: ManyForm, keys: readonly (readonly string[])[]): SourceQuery {
  return { text, values: names.map((_, i) => arrayText(keys.map((values) => values[i] ?? ''))) };
}

/** As Postgres reads an array: in quotes every character is itself but `"` and `\\`. */
function arrayText(values: readonly string[]): string {
  return `{${values.map((value) => `"${value.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
