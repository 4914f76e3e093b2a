import type { BufferConfig } from '../config/bus-config.ts';

/** A row's columns beside its key, as texts that Postgres reads. */
export type BufferRow = readonly (string | null)[];

/** What a key has in a window: what is to be added, or its last row. A sum beyond the safe integers goes on as a bigint. */
export type BufferValue = number | bigint | BufferRow;

export type Items = ReadonlyMap<string, BufferValue>;

/**
 * What names a window of one process and one partition for good: the batch's identity, by which it reaches Postgres once. A writer's numbers rise
 * in the order in which its windows are appended, and a window keeps its number however often it is sent.
 */
export interface BatchIdentity {
  /** Random, of one start of one process. */
  readonly writer: string;
  readonly seq: number;
}

/** How two values of one key become one, the older first. */
export type Fold = (older: BufferValue, newer: BufferValue) => BufferValue;

export const addUp: Fold = (older, newer) => {
  if (typeof older === 'number' && typeof newer === 'number') {
    const sum = older + newer;
    if (Number.isSafeInteger(sum)) return sum;
  }
  return BigInt(older as number) + BigInt(newer as number);
};

export const keepLast: Fold = (_older, newer) => newer;

export const foldOf = (kind: BufferConfig['kind']): Fold => (kind === 'counter' ? addUp : keepLast);

/** `["key", 3, "other", ["a", null]]`: JSON, and flat, since most of an entry's cost is its brackets. */
export function encodeItems(items: Iterable<readonly [key: string, value: BufferValue]>): string {
  const flat: unknown[] = [];
  for (const [key, value] of items) flat.push(key, typeof value === 'bigint' ? String(value) : value);
  return JSON.stringify(flat);
}

/** Undefined for what is not ours. */
export function decodeItems(text: string): Items | undefined {
  let flat: unknown;
  try {
    flat = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(flat) || flat.length % 2 !== 0) return undefined;
  const items = new Map<string, BufferValue>();
  for (let i = 0; i < flat.length; i += 2) {
    const key: unknown = flat[i];
    const value = decodeValue(flat[i + 1]);
    if (typeof key !== 'string' || value === undefined) return undefined;
    items.set(key, value);
  }
  return items;
}

function decodeValue(value: unknown): BufferValue | undefined {
  if (Number.isSafeInteger(value)) return value as number;
  if (typeof value === 'string') return /^-?[0-9]{1,40}$/.test(value) ? BigInt(value) : undefined;
  if (Array.isArray(value) && value.every((one) => one === null || typeof one === 'string')) return value as BufferRow;
  return undefined;
}
