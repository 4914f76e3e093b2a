import { BusError } from './errors.ts';

/**
 * The types whose values have one canonical text. Relay and client print through this one function: a client that caches
 * `AB12` where Postgres prints `ab12` would never be evicted.
 */
export type KeyType = 'text' | 'integer' | 'uuid' | 'boolean' | 'date';

/** Type OIDs of Postgres's catalog (pg_type.dat): fixed for ever. */
const TYPE_BY_OID: ReadonlyMap<number, KeyType> = new Map([
  [25, 'text'], // text
  [1043, 'text'], // varchar
  [20, 'integer'], // int8
  [21, 'integer'], // int2
  [23, 'integer'], // int4
  [2950, 'uuid'],
  [16, 'boolean'],
  [1082, 'date'],
]);

export function keyTypeOfOid(typeOid: number): KeyType | undefined {
  return TYPE_BY_OID.get(typeOid);
}

/** Longest value key in bytes that the bus carries; a longer one widens to its family in the relay and is refused by the client. */
export const KEY_BYTES_MAX = 1024;

/**
 * The canonical text of a parameter, escaped for a key: every ASCII character other than letters, digits and `-_.~@+` becomes
 * `%XX`. Takes what Postgres prints and what an application passes. Throws `KEY_PARAMETER_INVALID`.
 */
export function printKeyParameter(type: KeyType, value: unknown): string {
  const text = canonicalText(type, value);
  // A date's text may hold a space; the others need no escape.
  return type === 'text' || type === 'date' ? escapeText(text) : text;
}

/** The canonical text before it is escaped: what Postgres reads as a value of the type. Throws `KEY_PARAMETER_INVALID`. */
export function canonicalText(type: KeyType, value: unknown): string {
  switch (type) {
    case 'text':
      return typeof value === 'string' && value.isWellFormed() ? value : fail(type, value);
    case 'integer':
      return printInteger(value);
    case 'uuid':
      return printUuid(value);
    case 'boolean':
      return printBoolean(value);
    case 'date':
      return typeof value === 'string' && DATE.test(value) ? value : fail(type, value);
  }
}

const ESCAPED = /[\u0000-\u007f](?<![A-Za-z0-9\-_.~@+])/g;
const NEEDS_ESCAPE = /[^A-Za-z0-9\-_.~@+]/;

function escapeText(text: string): string {
  if (!NEEDS_ESCAPE.test(text)) return text;
  return text.replace(ESCAPED, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

const CANONICAL_INTEGER = /^(?:0|-?[1-9][0-9]{0,18})$/;
const INTEGER = /^[+-]?[0-9]{1,40}$/;
const INT8_MAX = 0x7fff_ffff_ffff_ffffn;

function printInteger(value: unknown): string {
  if (typeof value === 'string') {
    // Nineteen digits may still be beyond int8, so only shorter ones are taken as they are.
    if (value.length < 19 && CANONICAL_INTEGER.test(value)) return value;
    return INTEGER.test(value) ? printInt8(BigInt(value.replace(/^\+/, '')), value) : fail('integer', value);
  }
  if (typeof value === 'number') return Number.isSafeInteger(value) ? String(value + 0) : fail('integer', value);
  return typeof value === 'bigint' ? printInt8(value, value) : fail('integer', value);
}

function printInt8(value: bigint, given: unknown): string {
  return value <= INT8_MAX && value >= -INT8_MAX - 1n ? value.toString() : fail('integer', given);
}

const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Postgres reads upper case, braces, and a hyphen after any group of four digits. */
const UUID = /^(\{?)(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}(\}?)$/i;

function printUuid(value: unknown): string {
  if (typeof value !== 'string') return fail('uuid', value);
  if (CANONICAL_UUID.test(value)) return value;
  const match = UUID.exec(value);
  if (match === null || (match[1] === '') !== (match[2] === '')) return fail('uuid', value);
  const hex = value.replace(/[-{}]/g, '').toLowerCase();
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function printBoolean(value: unknown): string {
  if (value === true || value === 't' || value === 'true') return 'true';
  if (value === false || value === 'f' || value === 'false') return 'false';
  return fail('boolean', value);
}

/**
 * ISO, as pgoutput prints it (the walsender sets DateStyle): `2026-02-28`, `10191-01-01`, `0044-03-15 BC`, `infinity`. A year has four digits, or
 * more and then no zero before them, so that one date has one text.
 */
const DATE =
  /^(?:(?!0000)(?:[0-9]{4}|[1-9][0-9]{4,6})-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])(?: BC)?|-?infinity)$/;

const EXPECTED: Record<KeyType, string> = {
  text: 'a well-formed string',
  integer: 'a whole number of 64 bits: a bigint, a safe integer, or its digits',
  uuid: 'a UUID, such as 6f1c0f5e-5d1e-4f0b-9d56-3f6f4c1f2a10',
  boolean: 'true or false',
  date: 'a date as Postgres prints it, such as 2026-02-28',
};

function fail(type: KeyType, value: unknown): never {
  // The value itself may be a person's data: only its kind is named.
  const kind = value === null ? 'null' : typeof value;
  throw new BusError(
    'KEY_PARAMETER_INVALID',
    `A key parameter of type ${type} needs ${EXPECTED[type]}; this ${kind} is none.`,
  );
}
