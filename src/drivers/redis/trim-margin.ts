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

/**
 * The lowest applied offset of each partition, from fields `<region>:<partition>`. Only regions of the file count: one that was taken out
 * moves no more, and would hold the log for ever.
 */
export function lowestApplied(
  positions: Readonly<Record<string, string>>,
  regions: ReadonlySet<string>,
): Map<number, Offset> {
  const lowest = new Map<number, Offset>();
  for (const [field, text] of Object.entries(positions)) {
    const colon = field.lastIndexOf(':');
    if (!regions.has(field.slice(0, colon))) continue;
    const partition = Number(field.slice(colon + 1));
    lowest.set(partition, Math.min(lowest.get(partition) ?? Infinity, Number(text)));
  }
  return lowest;
}
