import { BusError } from './errors.ts';

/** A byte position in Postgres's write-ahead log. Inside the process a branded bigint; outside it 16 lower-case hex digits. */
export type Lsn = bigint & { readonly __brand: 'Lsn' };

/** The LSN before every other. Postgres calls it the invalid one: no record begins there. */
export const LSN_ZERO = 0n as Lsn;

/** The highest LSN: as a bound, none. */
export const LSN_MAX = 0xffff_ffff_ffff_ffffn as Lsn;
const POSTGRES_TEXT = /^([0-9A-F]{1,8})\/([0-9A-F]{1,8})$/i;
const HEX = /^[0-9a-f]{16}$/;

/** Brands a number that is known to be an LSN. Throws `LSN_INVALID` outside 64 bits. */
export function lsn(value: bigint | number): Lsn {
  const wide = BigInt(value);
  if (wide < 0n || wide > LSN_MAX) throw new BusError('LSN_INVALID', `${value} does not fit an unsigned 64-bit LSN.`);
  return wide as Lsn;
}

/** Parses what Postgres prints, such as `16/B374D848`. */
export function lsnFromPostgres(text: string): Lsn {
  const [, high, low] = POSTGRES_TEXT.exec(text) ?? [];
  if (high === undefined || low === undefined) {
    throw new BusError('LSN_INVALID', `"${text}" is not an LSN as Postgres prints it, such as 16/B374D848.`);
  }
  return ((BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)) as Lsn;
}

/** Prints an LSN as Postgres does. */
export function lsnToPostgres(value: Lsn): string {
  return `${(value >> 32n).toString(16).toUpperCase()}/${(value & 0xffff_ffffn).toString(16).toUpperCase()}`;
}

/** Parses 16 lower-case hex digits, the form in the log and in Redis. */
export function lsnFromHex(text: string): Lsn {
  if (!HEX.test(text)) throw new BusError('LSN_INVALID', `"${text}" is not an LSN of 16 lower-case hex digits.`);
  return BigInt(`0x${text}`) as Lsn;
}

/** 16 lower-case hex digits, so that the order of strings is the order of LSNs (a number in Lua is a double). */
export function lsnToHex(value: Lsn): string {
  return value.toString(16).padStart(16, '0');
}

export function lsnMax(a: Lsn, b: Lsn): Lsn {
  return a > b ? a : b;
}

export function lsnMin(a: Lsn, b: Lsn): Lsn {
  return a < b ? a : b;
}

/** The last LSN below a bound. A mark or floor made from an end LSN is one less, so that `commitLsn < bound` is the one comparison. */
export function lsnBefore(bound: Lsn): Lsn {
  return (bound === 0n ? 0n : bound - 1n) as Lsn;
}
