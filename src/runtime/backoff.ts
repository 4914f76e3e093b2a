/** Limits of a series of tries. */
export interface BackoffLimits {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait before try `failures` + 1: a random part of a limit that doubles ("full jitter", Brooker, "Exponential Backoff And
 * Jitter", AWS Architecture Blog, 2015). `random` gives numbers in [0, 1).
 */
export function backoffMs(failures: number, limits: BackoffLimits, random: () => number): number {
  const limitMs = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(failures, 30));
  return Math.max(1, random() * limitMs);
}
