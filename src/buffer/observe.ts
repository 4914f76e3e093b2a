import type { BufferDepth } from './buffer-log.ts';
import type { FlushPlan } from './flush-plan.ts';

export interface FlushDone {
  readonly plan: Pick<FlushPlan, 'fresh' | 'repeated'>;
  /** Rows that the database took. */
  readonly rows: number;
  /** Keys that it refused, and data that could not be read: they stand in the table of refusals. */
  readonly refused: number;
  /** Keys that had no row. */
  readonly unmatched: number;
  /** From reading to COMMIT. */
  readonly seconds: number;
}

/** Told what goes on in a buffer. It must not throw. */
export interface BufferObserver {
  depth(depth: BufferDepth): void;
  /** The oldest entry that is not in Postgres passes what may be lost, or the oldest call that is not acknowledged does; or no longer. */
  behind(what: 'unflushed' | 'unacknowledged', is: 'raised' | 'over', ageMs: number): void;
  flushed(done: FlushDone): void;
  /** A look for entries in every partition went well, whether there were any or not. */
  looked(): void;
  /** Calls that were answered by an error. */
  refused(calls: number, error: Error): void;
  /** Calls that were written to Postgres past the buffer. */
  wroteThrough(calls: number): void;
  failed(doing: 'flush' | 'depth', error: unknown): void;
}
