import { errorFields, type Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';
import type { Warmup, WarmupObserver } from '../warmup/warmup.ts';

/** Each kind of hindrance is told at most so often; all are counted. */
const AGAIN_MS = 10_000;

/** Turns what a warm-up tells into metrics and log lines; `shown` is told each second how it stands. */
export function observeWarmup(
  region: string,
  metrics: Metrics,
  log: Logger,
  nowMs: () => number,
  shown: () => void,
): WarmupObserver {
  const lastMs = new Map<string, number>();
  return {
    asked: (_family, loads, loadMs) => {
      if (loads > 0) metrics.observe('afterwrite_warmup_load_seconds', loadMs / 1000, { region });
    },
    progress: ({ share, window }) => {
      metrics.set('afterwrite_warmup_share', share, { region });
      metrics.set('afterwrite_warmup_window_keys', window, { region });
      shown();
    },
    hindered: (why, error, family) => {
      metrics.add('afterwrite_warmup_hindered_total', 1, { region, reason: why });
      if (nowMs() - (lastMs.get(why) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) return;
      lastMs.set(why, nowMs());
      log.warn(HINDERED[why], {
        ...(family === undefined ? {} : { family }),
        ...(error === undefined ? {} : errorFields(error)),
      });
    },
  };
}

const HINDERED = {
  timeout: 'a load took too long; asking for less',
  refused: 'the database takes no load; asking for less, and later',
  crossed:
    'the region stores nothing of a family: no agent has its cells, or its rules are others; trying again after the others',
  gate: 'the region’s gate does not answer; going on',
} as const;

/** Counters of what became of keys go by what the ledger has added since the last time. */
export function keyCounts(region: string, metrics: Metrics): (families: Warmup['families']) => void {
  const counted = new Map<string, number>();
  return (families) => {
    for (const [family, ledger] of families)
      for (const [outcome, count] of Object.entries(ledger)) {
        const before = counted.get(`${family} ${outcome}`) ?? 0;
        metrics.add('afterwrite_warmup_keys_total', Math.max(0, count - before), { region, family, outcome });
        counted.set(`${family} ${outcome}`, count);
      }
  };
}
