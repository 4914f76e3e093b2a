import type { StoredEntry } from './buffer-log.ts';
import { type BufferValue, decodeItems, type Fold } from './entry.ts';
import type { Shape } from './shape.ts';

/** Of each writer: the number of its last batch that is in Postgres, and when that was, in seconds of Unix time. */
export type FlushedWriters = ReadonlyMap<string, { readonly seq: number; readonly atSeconds: number }>;

export interface FlushPlan {
  /** One value a key. */
  readonly rows: ReadonlyMap<string, BufferValue>;
  /** What the partition's row says once they are written. */
  readonly flushed: FlushedWriters;
  /** Entries that are written by this. */
  readonly fresh: number;
  /** Entries that had been written before. */
  readonly repeated: number;
  /** Data that cannot be read. */
  readonly unreadable: readonly string[];
  /** Of the rows, where it is another than the file's. */
  readonly shape?: Shape;
}

/**
 * A writer that was not heard of for so long is forgotten. Only a Redis that is put back to a state older than that could bring its entries
 * again.
 */
export const WRITER_KEPT_SECONDS = 7 * 86_400;

/** Each start of each process is a writer, and all of a partition stand in one row that every flush writes: the newest are kept. */
export const WRITERS_KEPT_MAX = 10_000;

/**
 * Decides what a flush writes of entries of one shape; without `fold` none of them can be read: of each entry that is not in Postgres yet, in the log's order, one value a key.
 *
 *     flushed   a: 4
 *     log       a4  a5  b1  a5  a6
 *     written       a5  b1      a6        a4 was flushed and not removed, the second a5 was sent twice
 */
export function planFlush(
  entries: readonly StoredEntry[],
  flushed: FlushedWriters,
  fold: Fold | undefined,
  nowSeconds: number,
): FlushPlan {
  const rows = new Map<string, BufferValue>();
  const after = new Map(flushed);
  const unreadable: string[] = [];
  let repeated = 0;
  for (const { writer, seq, data } of entries) {
    if (seq <= (after.get(writer)?.seq ?? 0)) {
      repeated += 1;
      continue;
    }
    after.set(writer, { seq, atSeconds: nowSeconds });
    const items = fold === undefined ? undefined : decodeItems(data);
    if (items === undefined || fold === undefined) unreadable.push(data);
    else
      for (const [key, value] of items) {
        const older = rows.get(key);
        rows.set(key, older === undefined ? value : fold(older, value));
      }
  }
  return { rows, flushed: keptOf(after, nowSeconds), fresh: entries.length - repeated, repeated, unreadable };
}

function keptOf(writers: FlushedWriters, nowSeconds: number): FlushedWriters {
  const kept = [...writers].filter(([, { atSeconds }]) => nowSeconds - atSeconds <= WRITER_KEPT_SECONDS);
  if (kept.length <= WRITERS_KEPT_MAX) return new Map(kept);
  return new Map(kept.toSorted(([, a], [, b]) => b.atSeconds - a.atSeconds).slice(0, WRITERS_KEPT_MAX));
}
