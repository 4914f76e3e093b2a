const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A number and its unit: `250ms`, `1.5s`, `5m`, `72h`, `1d`. A number alone would be seconds to one reader and milliseconds to the next. */
export const DURATION = /^[0-9]{1,9}(?:\.[0-9]{1,3})?(?:ms|s|m|h|d)$/;

/** Likewise, or 0. */
export const DURATION_OR_ZERO = new RegExp(`^(?:0|${DURATION.source.slice(1, -1)})$`);

/** Ten years: longer is a slip of the hand. */
export const DURATION_MAX_MS = 3650 * 86_400_000;

/** Whole milliseconds of a text that `DURATION` accepts; NaN for any other. */
export function durationMs(text: string): number {
  const [, amount, unit] = /^([\d.]+)([a-z]+)$/.exec(text) ?? [];
  return Math.round(Number(amount) * (UNITS_MS[unit ?? ''] ?? Number.NaN));
}

export function durationOrZeroMs(text: string): number {
  return text === '0' ? 0 : durationMs(text);
}
