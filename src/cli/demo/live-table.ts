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
