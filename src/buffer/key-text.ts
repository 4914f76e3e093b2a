import { BusError } from '../protocol/errors.ts';
import type { BufferRow } from './entry.ts';

/** What a column of a key may be given as. */
export type KeyValue = string | number | bigint | boolean;

/** What a column of a row may be given as. What is an object becomes JSON. */
export type RowValue = KeyValue | Date | null | object;

/** Longer keys are slips: an index holds 2,704 bytes (`BTMaxItemSize`). */
const KEY_CHARACTERS_MAX = 1024;

/** The text of a key: its column's, or of several a list. Two keys never have one. */
export function keyTextOf(
  buffer: string,
  columns: readonly string[],
  params: Readonly<Record<string, unknown>>,
): string {
  const [only] = columns;
  if (columns.length === 1 && only !== undefined) return checked(buffer, textOfKey(buffer, only, params[only]));
  return checked(buffer, JSON.stringify(columns.map((column) => textOfKey(buffer, column, params[column]))));
}

/** The columns of a key's text. */
export function keyColumns(columns: number, text: string): readonly string[] {
  return columns === 1 ? [text] : (JSON.parse(text) as string[]);
}

export function rowOf(buffer: string, columns: readonly string[], row: Readonly<Record<string, unknown>>): BufferRow {
  return columns.map((column) => textOfRow(buffer, column, row[column]));
}

function checked(buffer: string, text: string): string {
  if (text.length <= KEY_CHARACTERS_MAX) return text;
  throw new BusError('BUFFER_VALUE_INVALID', `${buffer}: a key has more than ${KEY_CHARACTERS_MAX} characters.`);
}

function textOfKey(buffer: string, column: string, value: unknown): string {
  if (typeof value === 'string') return withoutNul(buffer, column, value);
  if (typeof value === 'number' && Number.isFinite(value)) return String(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  throw new BusError(
    'BUFFER_VALUE_INVALID',
    `${buffer}: "${column}" of the key is ${value === null ? 'null' : typeof value}: a text, a number or a truth value is expected.`,
  );
}

function textOfRow(buffer: string, column: string, value: unknown): string | null {
  if (value === null) return null;
  if (value instanceof Date) return value.toISOString();
  if (typeof value === 'object') return withoutNul(buffer, column, JSON.stringify(value));
  if (value !== undefined) return textOfKey(buffer, column, value);
  throw new BusError('BUFFER_VALUE_INVALID', `${buffer}: the row has no "${column}": null is written as null.`);
}

/** Postgres has no text with it (SQLSTATE 22021). */
function withoutNul(buffer: string, column: string, text: string): string {
  if (!text.includes('\0')) return text;
  throw new BusError('BUFFER_VALUE_INVALID', `${buffer}: "${column}" has a NUL character, which Postgres cannot hold.`);
}
