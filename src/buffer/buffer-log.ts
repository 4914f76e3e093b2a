import type { BatchIdentity } from './entry.ts';

/** A window of one partition, as it is appended. */
export interface OutgoingEntry extends BatchIdentity {
  /** What its texts are texts of (shape.ts). Empty for what is not ours. */
  readonly shape: string;
  readonly data: string;
  /** Keys in it. */
  readonly keys: number;
}

/** An entry as it was read. `place` is the log's own, and means nothing outside of it. */
export interface StoredEntry extends OutgoingEntry {
  readonly place: unknown;
}

/**
 *   appended  it stands in the log
 *   full      it does not: the buffer has reached its limits, or the server its own
 *   away      it does not: there is no server that takes it
 *   unknown   it may or may not: sent, and no answer came
 *   refused   it does not, and will not before a person acts
 */
export type AppendAnswer =
  | { readonly kind: 'appended' }
  | { readonly kind: 'full' | 'away' | 'unknown' | 'refused'; readonly error: Error };

/** What is appended and not yet removed. */
export interface BufferDepth {
  readonly entries: number;
  readonly bytes: number;
  /** Age of the oldest by the server's clock; 0 where there is none. */
  readonly oldestMs: number;
}

export interface ReadLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/**
 * Where a buffer stands between its acknowledgement and Postgres: a log a partition, in the order of appending.
 *
 * Nothing that keeps a batch from being written twice, or from being left out, rests upon the log's own positions: they may go back when a server
 * comes back without its tail, after FLUSHALL, or at a replica. A reader always begins at the oldest entry that is there, and the batch's
 * identity in Postgres says whether it has been written.
 */
export interface BufferLog {
  /** `isForced`: without regard to the buffer's limits, since an earlier try of this entry may have landed. Does not reject. */
  append(partition: number, entry: OutgoingEntry, isForced: boolean): Promise<AppendAnswer>;
  /** The oldest entries, in order. Rejects with a coded error. */
  read(partition: number, limits: ReadLimits): Promise<readonly StoredEntry[]>;
  /** Removes entries that were read, once they are in Postgres. What it does not remove is read again. Rejects with a coded error. */
  remove(partition: number, entries: readonly StoredEntry[]): Promise<void>;
  /** Over all partitions. Rejects with a coded error. */
  depth(): Promise<BufferDepth>;
  close(): Promise<void>;
}
