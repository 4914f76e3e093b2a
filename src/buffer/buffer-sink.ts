import type { FlushPlan, FlushedWriters } from './flush-plan.ts';

export interface Written {
  readonly kind: 'written';
  readonly plan: FlushPlan;
  /** Keys whose value the database refuses: they stand in the table of refusals. */
  readonly refused: number;
  /** Keys without a row, where rows are not to be made. */
  readonly unmatched: number;
}

/** `busy`: another has the partition. `declined`: the plan was not to be. Nothing was changed by either. */
export type SinkAnswer = Written | { readonly kind: 'busy' } | { readonly kind: 'declined' };

/**
 * The database behind a buffer. Exactly once rests on one transaction:
 *
 *     lock the partition's row ─▶ read which batches it has ─▶ plan ─▶ write the rows ─▶ write which batches it has now ─▶ COMMIT
 *
 * Two that flush one partition are one after the other, and the second finds what the first has written. A crash before COMMIT has written nothing;
 * a crash behind it leaves entries in the log that are known by their identity.
 */
export interface BufferSink {
  /** `nowSeconds`: Unix time of the database, which is one clock for all that flush. `waits`: for another that has the partition, instead of `busy`. Rejects with a coded error; the outcome is then unknown. */
  write(
    partition: number,
    plan: (flushed: FlushedWriters, nowSeconds: number) => FlushPlan | undefined,
    waits: boolean,
  ): Promise<SinkAnswer>;
}
