import type { Writable } from 'node:stream';

export interface RegionRow {
  readonly region: string;
  readonly evictions: number;
  readonly waiting: number;
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
  readonly stalenessMs: number | null;
}

const HEADINGS = ['region', 'evictions', 'waiting', 'p50 ms', 'p99 ms', 'max ms', 'staleness ms'];

/** The table as lines: one a region, under its headings. */
export function tableLines(rows: readonly RegionRow[]): string[] {
  const cells = rows.map((row) => [
    row.region,
    String(row.evictions),
    String(row.waiting),
    ...[row.p50, row.p99, row.max].map((ms) => (ms === null ? '-' : ms.toFixed(2))),
    row.stalenessMs === null ? '-' : String(Math.round(row.stalenessMs)),
  ]);
  const widths = HEADINGS.map((heading, column) =>
    Math.max(heading.length, ...cells.map((row) => row[column]?.length ?? 0)),
  );
  return [HEADINGS, ...cells].map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('   '),
  );
}

/** Shows a block of lines: on a terminal in place, into a pipe as plain lines now and then. */
export class LiveBlock {
  readonly #out: Writable & { readonly isTTY?: boolean };
  #shown = 0;

  constructor(out: Writable & { readonly isTTY?: boolean }) {
    this.#out = out;
  }

  get isLive(): boolean {
    return this.#out.isTTY === true;
  }

  show(lines: readonly string[]): void {
    // ESC [ n A: cursor up n lines; ESC [ 0 J: clear to the end of the screen (ECMA-48).
    if (this.isLive && this.#shown > 0) this.#out.write(`\u001b[${this.#shown}A\u001b[0J`);
    this.#out.write(`${lines.join('\n')}\n`);
    this.#shown = lines.length;
  }
}
