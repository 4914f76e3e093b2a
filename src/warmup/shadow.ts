import type { Clock } from '../runtime/clock.ts';
import type { WarmupEnd } from './warmup.ts';

/** Between the beginnings of two rounds at least: keys are published every few seconds. */
export const SHADOW_ROUND_MS = 10_000;

export interface ShadowParts {
  /** Reads the keys as they are published now, and warms them. */
  readonly round: (stop: AbortSignal) => Promise<WarmupEnd>;
  readonly clock: Clock;
  /** Undefined: until it is told to stop. */
  readonly forMs?: number;
}

/**
 * Follows what another region's readers ask for, round by round, so that this one stands by warm. What stands costs no load in a round; what was evicted, or has
 * become hot, is loaded. The gate is WARM from the first round that reached the target.
 */
export async function followShadow({ round, clock, forMs }: ShadowParts, stop: AbortSignal): Promise<WarmupEnd> {
  const over = new AbortController();
  const ending = AbortSignal.any([stop, over.signal]);
  if (forMs !== undefined) void clock.sleep(forMs, ending).then(() => over.abort());
  try {
    while (!ending.aborted) {
      const beganMs = clock.monotonicMs();
      const end = await round(ending);
      if (end.kind === 'moved' || end.kind === 'never') return end;
      await clock.sleep(Math.max(0, beganMs + SHADOW_ROUND_MS - clock.monotonicMs()), ending);
    }
    return { kind: 'stopped' };
  } finally {
    over.abort();
  }
}
