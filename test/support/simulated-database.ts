import { Pace, type PaceLimits, type Step } from '../../src/warmup/pace.ts';

export interface SimulatedDatabase {
  /** Statements that it works on side by side; more share it. */
  readonly workers: number;
  /** Of a statement, and of each of its keys. */
  readonly statementMs: number;
  readonly keyMs: number;
  /** How many times slower it is just now, by other people's doing. */
  readonly slowness?: (nowMs: number) => number;
  /** Whether it takes no connection just now. */
  readonly refuses?: (nowMs: number, underWay: number) => boolean;
  /** Statements that take longer are cancelled. */
  readonly timeoutMs?: number;
  /** In [0, 1). */
  readonly random?: () => number;
}

export interface Moment {
  readonly atMs: number;
  readonly underWay: number;
  readonly batch: number;
  readonly window: number;
}

/** Runs a pace against a database that is a formula, in virtual time; returns how it stood at each statement's end. */
export function runPace(limits: PaceLimits, database: SimulatedDatabase, untilMs: number): Moment[] {
  const { workers, statementMs, keyMs, slowness, refuses, timeoutMs, random } = database;
  const pace = new Pace(limits, 0);
  const moments: Moment[] = [];
  const underWay: { readonly endsAtMs: number; readonly end: () => void }[] = [];
  let nowMs = 0;
  const start = (): void => {
    const keys = pace.batch;
    const step: Step = pace.begin(nowMs);
    const beganMs = nowMs;
    const isRefused = refuses?.(nowMs, pace.underWay) === true;
    const noise = 0.9 + 0.2 * (random?.() ?? 0.5);
    const ms = (statementMs + keyMs * keys) * Math.max(1, pace.underWay / workers) * (slowness?.(nowMs) ?? 1) * noise;
    const isLate = timeoutMs !== undefined && ms > timeoutMs;
    const endsAtMs = nowMs + (isRefused ? 1 : isLate ? timeoutMs : ms);
    underWay.push({
      endsAtMs,
      end: () => {
        if (isRefused) pace.failed(step, 'refused', nowMs);
        else if (isLate) pace.failed(step, 'timeout', nowMs);
        else pace.took(step, keys, nowMs - beganMs, nowMs);
      },
    });
    moments.push({ atMs: nowMs, underWay: pace.underWay, batch: keys, window: pace.facts.window });
  };
  while (nowMs < untilMs) {
    const waitMs = pace.waitMs(nowMs);
    if (waitMs === 0) {
      start();
      continue;
    }
    underWay.sort((a, b) => a.endsAtMs - b.endsAtMs);
    const next = underWay[0];
    if (next === undefined || nowMs + waitMs < next.endsAtMs) nowMs += waitMs;
    else {
      nowMs = next.endsAtMs;
      underWay.shift();
      next.end();
    }
  }
  return moments;
}

/** The mean of keys under way between two times. */
export function meanKeys(moments: readonly Moment[], fromMs: number, toMs: number): number {
  const some = moments.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  return some.reduce((sum, { underWay, batch }) => sum + underWay * batch, 0) / some.length;
}
