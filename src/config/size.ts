const UNITS: Readonly<Record<string, number>> = { b: 1, kb: 1024, mb: 1_048_576 };

/** A number and its unit: `512b`, `2kb`, `1mb`. */
export const SIZE = /^[0-9]{1,9}(?:b|kb|mb)$/;

/** Bytes of a text that `SIZE` accepts; NaN for any other. */
export function sizeBytes(text: string): number {
  const [, amount, unit] = /^(\d+)([a-z]+)$/.exec(text) ?? [];
  return Number(amount) * (UNITS[unit ?? ''] ?? Number.NaN);
}
