import type { Offset } from '../protocol/log-record.ts';

/**
 * The log as an agent reads it: Kafka or Redis Streams. The position lives in the agent's Redis, so the log keeps none for us.
 *
 * Promise: once `take(p, from)` has resolved, deliveries for `p` are whole, in the log's order, each offset once, and begin with the lowest
 * offset at or above `from` that still exists. Nothing that was fetched for an earlier `take` of `p` is delivered after it. Nothing
 * is delivered for a partition that is not taken. While the log is away nothing is delivered; reading goes on without a gap when it
 * returns. A `from` beyond the log's end delivers nothing (the caller asks `bounds`).
 */
export interface LogReader {
  readonly partitions: number;
  take(partition: number, from: Offset): Promise<void>;
  release(partition: number): void;
  /** Back-pressure: nothing more is delivered for the partition (but what is already under way) until `resume`. */
  pause(partition: number): void;
  resume(partition: number): void;
  /** Tells the log how far a partition has been applied, where the log trims by that. Kafka trims by time. */
  applied(partition: number, offset: Offset): void;
  /** The offsets that each partition holds now: `[first, next)`. Asked at take-over and while nothing arrives. */
  bounds(): Promise<readonly LogBounds[]>;
  /** Resolves when the reader has ended by `close`; rejects when it can no longer read: the process then ends. */
  readonly ended: Promise<void>;
  close(): Promise<void>;
}

/** A log that has not told its bounds for so long counts as away. */
export const BOUNDS_TIMEOUT_MS = 5000;

export interface LogBounds {
  readonly first: Offset;
  readonly next: Offset;
}

export interface IncomingRecord {
  readonly offset: Offset;
  readonly value: string;
}

/** Takes records from the reader. It only hands over to a bounded queue: it neither waits nor throws. */
export type RecordHandler = (partition: number, records: readonly IncomingRecord[]) => void;
