/** One line of the table: what was measured, beside what was to be reached. */
export interface Row {
  readonly what: string;
  readonly figure: string;
  readonly target: string;
  readonly isMet: boolean;
  /** The figures themselves, for the JSON. */
  readonly data: Readonly<Record<string, unknown>>;
}

export function medianOf(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}

export function rounded(figure: number, digits = 2): number {
  return Number(figure.toFixed(digits));
}
