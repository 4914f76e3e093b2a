import type { Clock } from '../runtime/clock.ts';
import { WHOLE } from '../protocol/region-gate.ts';
import type { WarmGate } from './hot-keys.ts';
import { tellWarm } from './tell-warm.ts';
import { REPORT_MS, type WarmupEnd } from './warmup.ts';

export interface GradualParts {
  readonly gate: WarmGate;
  readonly epoch: string;
  /** The shares that open the gate's steps, in rising order. */
  readonly shares: readonly number[];
  /** How long each step lasts. */
  readonly stepMs: number;
  readonly clock: Clock;
  readonly progress: (share: number) => void;
  readonly hindered: (error: unknown) => void;
}

/**
 * Opens the gate by steps of time, and loads nothing: readers warm the region, as many at a time as the database bears.
 *
 *     step 1 ──stepMs──▶ step 2 ──stepMs──▶ … ──stepMs──▶ WARM
 *
 * Started again it begins with the first step, and the gate keeps the one that it had come to.
 */
export async function openGradually(parts: GradualParts, stop: AbortSignal): Promise<WarmupEnd> {
  const { gate, epoch, clock, progress, hindered } = parts;
  const told = async (tell: () => Promise<'ok' | 'moved'>): Promise<'ok' | 'moved'> =>
    tell().catch((error: unknown) => {
      hindered(error);
      return 'ok';
    });
  for (const share of parts.shares) {
    const endsAtMs = clock.monotonicMs() + parts.stepMs;
    progress(share);
    while (clock.monotonicMs() < endsAtMs) {
      if (stop.aborted) return { kind: 'stopped' };
      if ((await told(() => gate.report(epoch, share, WHOLE))) === 'moved') return { kind: 'moved' };
      await clock.sleep(Math.max(0, Math.min(REPORT_MS, endsAtMs - clock.monotonicMs())), stop);
    }
  }
  return tellWarm({ gate, epoch, shard: WHOLE, share: parts.shares.at(-1) ?? 0, clock, hindered }, stop);
}
