import type { Offset } from '../../protocol/log-record.ts';

/**
 * How long a record is kept after every region has applied it. A region's Redis may fail over to a replica that missed the last writes, and
 * then needs them again: without a margin the log would be trimmed at the position of the server that was lost.
 */
export const TRIM_MARGIN_MS = 600_000;

/** Decides up to where a stream may be trimmed: where the slowest region stood a margin ago. */
export class TrimMargin {
  readonly #readings: { readonly atMs: number; readonly lowest: ReadonlyMap<number, Offset> }[] = [];

  /** Takes the lowest applied offset of each partition, and returns what it was a margin ago; undefined while nobody knows. */
  note(nowMs: number, lowest: ReadonlyMap<number, Offset>): ReadonlyMap<number, Offset> | undefined {
    this.#readings.push({ atMs: nowMs, lowest });
    let settled: ReadonlyMap<number, Offset> | undefined;
    while ((this.#readings[0]?.atMs ?? nowMs) <= nowMs - TRIM_MARGIN_MS) settled = this.#readings.shift()?.lowest;
    return settled;
  }
}
