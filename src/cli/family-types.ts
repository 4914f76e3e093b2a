import { type ColumnKind, columnTypeOf } from '../protocol/column-value.ts';
import type { KeyType } from '../protocol/key-parameter.ts';

/** What is known of a family's key and value. */
export interface FamilyTypes {
  readonly name: string;
  /** The type is undefined where no rule tells it. */
  readonly params: readonly { readonly name: string; readonly type: KeyType | undefined }[];
  readonly isList: boolean;
  /** Undefined where the application loads. */
  readonly columns:
    | readonly { readonly name: string; readonly typeOid: number; readonly isNullable: boolean }[]
    | undefined;
}

const PARAMETER: Readonly<Record<KeyType, string>> = {
  text: 'string',
  integer: 'bigint | number | string',
  uuid: 'string',
  boolean: 'boolean',
  date: 'string',
};

const COLUMN: Readonly<Record<ColumnKind, string>> = {
  boolean: 'boolean',
  integer: 'number',
  float: "number | 'NaN' | 'Infinity' | '-Infinity'",
  json: 'unknown',
  timestamp: 'string',
  instant: 'string',
  text: 'string',
};

const HEAD = `// Written by \`afterwrite config types\` from the file and the database's catalog. Write it anew when either changes.
export {};

declare module 'afterwrite' {
  interface Families {
`;

/** The families as a module that tells TypeScript what \`cache.family(name)\` takes and gives. */
export function familyTypes(families: readonly FamilyTypes[], buffers = ''): string {
  const entries = families.map(({ name, params, isList, columns }) => {
    const key = fields(params.map((one) => [one.name, one.type === undefined ? UNTOLD : PARAMETER[one.type]]));
    const row = columns && fields(dropHidden(columns).map((one) => [one.name, columnText(one)]));
    const value = row === undefined ? 'unknown' : isList ? `${row}[]` : row;
    return `    ${propertyName(name)}: {\n      params: ${key};\n      value: ${value};\n    };\n`;
  });
  const more = buffers === '' ? '' : `  interface Buffers {\n${buffers}  }\n`;
  return `${HEAD}${entries.join('')}  }\n${more}}\n`;
}

const UNTOLD = 'bigint | boolean | number | string';

/** Of two columns of one name the value holds the last. */
function dropHidden<T extends { readonly name: string }>(columns: readonly T[]): T[] {
  return [...new Map(columns.map((one) => [one.name, one])).values()];
}

function columnText({ typeOid, isNullable }: { readonly typeOid: number; readonly isNullable: boolean }): string {
  const { kind, isArray } = columnTypeOf(typeOid);
  // An element may be NULL whatever the column says; json's null is a value of its own.
  const type = isArray ? `(${COLUMN[kind]} | null)[]` : COLUMN[kind];
  return isNullable && type !== 'unknown' ? `${type} | null` : type;
}

export function fields(of: readonly (readonly [string, string])[]): string {
  return of.length === 0 ? '{}' : `{ ${of.map(([name, type]) => `${propertyName(name)}: ${type}`).join('; ')} }`;
}

export function propertyName(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}
