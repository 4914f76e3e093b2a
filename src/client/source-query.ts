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
