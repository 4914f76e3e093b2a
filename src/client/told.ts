import type { Family } from '../config/bus-config.ts';
import { livesForMs } from '../protocol/time-to-live.ts';
import { payloadOf, type StoredValue } from '../protocol/value-slot.ts';
import { unpackPayload } from './codec.ts';

/** What is known of the value that a read gives, beside the value. Whatever answers the read fills it in, where the caller has asked for it. */
export interface Told {
  /** As it is encoded, without compression; null is an absence. Undefined where the value alone is at hand. */
  payload: string | null | undefined;
  /** When it was read at its origin, by the clock of whoever loaded it; undefined where that is not known. */
  readAtMs: number | undefined;
  /** How much of its time to live is left; below 0 past it. */
  leftMs: number;
  /** The same object each time for as long as the process holds the value. */
  held: object | undefined;
}

/** A value with what is known of it: what an answer over HTTP is made of. */
export interface Served<T> {
  /** Null is "does not exist". */
  readonly value: T | null;
  readonly payload: string | null | undefined;
  /** How long ago the value was read at its origin; undefined where that is not known. */
  readonly ageMs: number | undefined;
  readonly leftMs: number;
  readonly held: object | undefined;
}

export function servedAs<T>(value: T | null, { payload, readAtMs, leftMs, held }: Told, nowMs: number): Served<T> {
  // Clocks of two processes differ a little.
  const ageMs = readAtMs === undefined ? undefined : Math.max(0, nowMs - readAtMs);
  return { value, payload, ageMs, leftMs, held };
}

export function nothingTold(): Told {
  return { payload: undefined, readAtMs: undefined, leftMs: 0, held: undefined };
}

/** Of a value as it was read from Redis. `ttlLeftMs` is below 0 where it was not read. */
export function tellStored(told: Told, family: Family, value: StoredValue, ttlLeftMs: number, nowMs: number): void {
  told.payload = unpackPayload(payloadOf(value));
  told.readAtMs = value.readAtMs;
  told.leftMs = ttlLeftMs < 0 ? leastLeftMs(family, value.isAbsent, value.readAtMs, nowMs) : ttlLeftMs - family.staleMs;
}

/** Of a value that was loaded, here or elsewhere: what is left at the least, however much the jitter has taken. */
export function leastLeftMs(
  { ttlMs, absentMs, jitter }: Family,
  isAbsent: boolean,
  readAtMs: number | undefined,
  nowMs: number,
): number {
  const lifeMs = isAbsent ? absentMs : ttlMs;
  return readAtMs === undefined || lifeMs === 0 ? 0 : livesForMs(lifeMs, jitter, 1) - Math.max(0, nowMs - readAtMs);
}
