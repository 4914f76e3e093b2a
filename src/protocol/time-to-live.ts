/**
 * How long a value lives that is stored now: its time to live, shortened by a random part of it, `jitter` at most. What was stored together,
 * by a warm-up or after an outage, so does not end together. `chance` is a number in [0, 1).
 */
export function livesForMs(ttlMs: number, jitter: number, chance: number): number {
  return Math.max(1, Math.round(ttlMs * (1 - jitter * chance)));
}
