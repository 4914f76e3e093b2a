import type { BusConfig, Family } from '../../src/config/bus-config.ts';
import type { Entry } from '../../src/client/cache-store.ts';
import type { BatchFacts } from '../../src/agent/batch-plan.ts';
import { FENCE_BUCKETS } from '../../src/protocol/invalidation.ts';
import { bucketOf, cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { busConfig, family } from '../support/bus-config.ts';

/** Partitions of the log, cells of a region. */
export const CELLS = 2;
export const ROWS = 14;

/** A cached thing: the rows that it is built from, and how it is invalidated. */
export interface SimKey extends Entry {
  readonly index: number;
  readonly rows: readonly number[];
  /** By its key, or by the tag that its rows' values carry. */
  readonly by: 'key' | 'tag';
  /** Its values stand so long past their time. */
  readonly staleMs: number;
  readonly rule: string;
}

/** All of one cell and of one fence bucket, so that buckets overflow. */
const SHARED_BUCKET = [1511, 27317, 50097, 97884, 105696, 111348, 115324, 118964, 127929, 165529].map(
  (n) => `user:${n}`,
);

export const KEYS: readonly SimKey[] = [
  ...SHARED_BUCKET.map((key, i) => keyOf(i, key, 'user', i < 8 ? [i] : [i - 8, i - 4], 'key', 0)),
  ...[0, 1, 2, 5].map((n, i) => keyOf(10 + i, `pair:${n}`, 'pair', [8 + i, 9 + i], 'key', 12_000)),
  ...[0, 1, 3, 4].map((n, i) =>
    keyOf(14 + i, `list:${n}`, 'list', [[12], [13], [12, 13], [13, 12]][i] ?? [], 'tag', 0),
  ),
];

/** The keys that a row is part of, each with the row's place in it. */
export const KEYS_OF_ROW: readonly (readonly { readonly key: SimKey; readonly place: number }[])[] = Array.from(
  { length: ROWS },
  (_, row) =>
    KEYS.flatMap((key) => {
      const place = key.rows.indexOf(row);
      return place < 0 ? [] : [{ key, place }];
    }),
);

export const KEYS_OF_CELL: readonly (readonly SimKey[])[] = Array.from({ length: CELLS }, (_, cell) =>
  KEYS.filter((key) => key.cell === cell),
);

/** Groups that a row may be in; a tagged key carries the tag of each row's group. */
export const GROUPS = 3;
export const tagOf = (row: number, group: number): string => `row${row}:g${group}`;

const FAMILIES: readonly Family[] = ['user', 'pair', 'list'].map((name) => family(name, `${name}:{id}`, []));
const CONFIG: BusConfig = busConfig(FAMILIES);
export const RULES: Readonly<Record<string, string>> = Object.fromEntries(
  FAMILIES.map(({ name }) => [name, ruleOf(name)]),
);

export function batchFacts(hasReplicas: boolean): BatchFacts {
  return { config: CONFIG, cells: CELLS, hasReplicas };
}

export const BUS = CONFIG.bus;

function ruleOf(familyName: string): string {
  return `${familyName} integer`;
}

function keyOf(
  index: number,
  key: string,
  familyName: string,
  rows: readonly number[],
  by: SimKey['by'],
  staleMs: number,
): SimKey {
  const hash = hashKey(key);
  const bucket = bucketOf(hash, CELLS, Math.floor(FENCE_BUCKETS / CELLS));
  const cell = cellOf(hash, CELLS);
  return {
    index,
    key,
    family: familyName,
    rows,
    by,
    staleMs,
    rule: ruleOf(familyName),
    hash,
    bucket,
    cell,
    isPlain: false,
  };
}
