import type { Family, TagRule } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { type KeyType, printKeyParameter } from '../protocol/key-parameter.ts';
import { type KeyTemplate, printKey } from '../protocol/key-template.ts';

export type WidenReason = 'identity' | 'toast' | 'column' | 'value' | 'length' | 'message' | 'partition';

interface Parameter {
  readonly index: number;
  readonly type: KeyType;
  readonly partOfIdentity: boolean;
}

/** One key template or tag template that a relation feeds. `parameters` is undefined where a column is missing or of no printable type. */
export type Target = {
  readonly template: KeyTemplate;
  readonly parameters: readonly Parameter[] | undefined;
  readonly bytesMax: number;
} & ({ readonly kind: 'family'; readonly family: Family } | { readonly kind: 'tag'; readonly rule: TagRule });

/** A column's text, null, or undefined where the image does not tell. */
export type ColumnReader = (column: number, partOfIdentity: boolean) => string | null | undefined;

export type Printed =
  | { readonly kind: 'printed'; readonly text: string }
  /** A parameter is null: the row is in no such entry. */
  | { readonly kind: 'none' }
  | { readonly kind: 'unknown'; readonly reason: WidenReason };

const NONE: Printed = { kind: 'none' };

/** Prints a target's key or tag from one row image. A null parameter wins over an unknown one: such a row is in no entry either way. */
export function printTarget(target: Target, read: ColumnReader): Printed {
  if (target.parameters === undefined) return { kind: 'unknown', reason: 'column' };
  const printed: string[] = [];
  let unknown: WidenReason | undefined;
  for (const parameter of target.parameters) {
    const value = read(parameter.index, parameter.partOfIdentity);
    if (value === null) return NONE;
    if (value === undefined) {
      unknown = parameter.partOfIdentity ? 'toast' : 'identity';
      continue;
    }
    const text = print(parameter.type, value);
    if (text === undefined) unknown = 'value';
    else printed.push(text);
  }
  if (unknown !== undefined) return { kind: 'unknown', reason: unknown };
  const key = printKey(target.template, printed);
  return isTooLong(key, target.bytesMax) ? { kind: 'unknown', reason: 'length' } : { kind: 'printed', text: key };
}

/** Stands for bytes that are no UTF-8. A database of encoding SQL_ASCII holds any, and sends them as they are. */
const REPLACEMENT = '\uFFFD';

/**
 * Postgres prints what the type holds; should it ever not, the change widens and is not lost. A value that cannot be read as it was written
 * would name a key that nobody uses. One that truly holds the replacement character widens with it.
 */
function print(type: KeyType, value: string): string | undefined {
  if (type === 'text' && value.includes(REPLACEMENT)) return undefined;
  try {
    return printKeyParameter(type, value);
  } catch (error) {
    if (error instanceof BusError) return undefined;
    throw error;
  }
}

/** A character takes three bytes of UTF-8 at most per UTF-16 unit, so short keys need no count. */
function isTooLong(key: string, bytesMax: number): boolean {
  return key.length * 3 > bytesMax && new TextEncoder().encode(key).length > bytesMax;
}
