import { BusError } from '../protocol/errors.ts';
import type { BufferRow } from './entry.ts';

/** What a column of a key may be given as. */
export type KeyValue = string | number | bigint | boolean;

/** What a column of a row may be given as. Bytes become a bytea, any other object JSON. */
export type RowValue = KeyValue | Date | null | object;

/** Longer keys are slips: an index holds 2,704 bytes (`BTMaxItemSize`). */
const KEY_CHARACTERS_MAX = 1024;

/** A row goes to Redis in one piece with its window, and to Postgres with its batch; a server closes the connection on what is too large. */
export const ROW_CHARACTERS_MAX = 1 << 20;

/** Other years print with a sign and six digits, which Postgres does not read. */
const DATE_MIN_MS = Date.parse('0001-01-01T00:00:00Z');
const DATE_MAX_MS = Date.parse('9999-12-31T23:59:59.999Z');

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
export function keyColumns(text: string, columns: number): readonly string[] {
  return columns === 1 ? [text] : (JSON.parse(text) as string[]);
}

/** Throws `BUFFER_VALUE_INVALID`. */
export function rowOf(buffer: string, columns: readonly string[], row: Readonly<Record<string, unknown>>): BufferRow {
  const texts = columns.map((column) => {
    const text = textOfRow(row[column]);
    if (typeof text !== 'object') return withoutNul(buffer, column, text);
    if (text === null) return null;
    throw new BusError('BUFFER_VALUE_INVALID', `${buffer}: "${column}" of the row ${text.why}.`);
  });
  const characters = texts.reduce((sum, text) => sum + (text?.length ?? 0), 0);
  if (characters <= ROW_CHARACTERS_MAX) return texts;
  throw new BusError('BUFFER_VALUE_INVALID', `${buffer}: a row has more than ${ROW_CHARACTERS_MAX} characters.`);
}

function checked(buffer: string, text: string): string {
  if (text.length <= KEY_CHARACTERS_MAX) return text;
  throw new BusError('BUFFER_VALUE_INVALID', `${buffer}: a key has more than ${KEY_CHARACTERS_MAX} characters.`);
}

function textOfKey(buffer: string, column: string, value: unknown): string {
  if (typeof value === 'string') return withoutNul(buffer, column, value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  // A whole number that is not safe has been rounded by now, and would count for another row.
  if (typeof value === 'number' && (Number.isSafeInteger(value) || !Number.isInteger(value)) && Number.isFinite(value))
    return String(value);
  const found = value === null ? 'null' : typeof value === 'number' ? String(value) : typeof value;
  throw new BusError(
    'BUFFER_VALUE_INVALID',
    `${buffer}: "${column}" of the key is ${found}: a text, a truth value or a number is expected, and a whole one beyond ${Number.MAX_SAFE_INTEGER} as a bigint.`,
  );
}

function textOfRow(value: unknown): string | null | { readonly why: string } {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'object') return textOfObject(value);
  if (typeof value === 'bigint' || typeof value === 'boolean') return String(value);
  if (typeof value !== 'number')
    return { why: value === undefined ? 'is missing: null is written as null' : `is a ${typeof value}` };
  return Number.isFinite(value) ? String(value) : { why: `is ${value}: a finite number is expected` };
}

function textOfObject(value: object): string | { readonly why: string } {
  if (value instanceof Date) {
    const isPrintable = value.getTime() >= DATE_MIN_MS && value.getTime() <= DATE_MAX_MS;
    return isPrintable ? value.toISOString() : { why: 'is a date that is none, or outside of the years 1 to 9999' };
  }
  // The form of bytea that begins so; as JSON it would be taken for the bytes of that text.
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`;
  try {
    const text: string | undefined = JSON.stringify(value);
    return text ?? { why: 'has no form in JSON' };
  } catch (error) {
    return { why: `has no form in JSON: ${(error as Error).message}` };
  }
}

/** Postgres has no text with it (SQLSTATE 22021). */
function withoutNul(buffer: string, column: string, text: string): string {
  if (!text.includes('\0')) return text;
  throw new BusError('BUFFER_VALUE_INVALID', `${buffer}: "${column}" has a NUL character, which Postgres cannot hold.`);
}
