import type { GateObserver } from '../agent/gate-watch.ts';
import { admitOf, GATE_STATES, type RampStep, type StoredGate } from '../protocol/region-gate.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Page } from '../runtime/http.ts';
import { errorFields, type Logger } from '../runtime/logger.ts';
import type { Metrics } from '../runtime/metrics.ts';

/** For how long the gate that was seen last is told as it was, while its Redis is away: a short cut says nothing of warmth. */
const KNOWN_MS = 30_000;

export interface GateObserverParts {
  readonly region: string;
  readonly ramp: readonly RampStep[];
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly clock: Clock;
}

/** A gate, and when it was seen, in monotonic ms. */
interface Seen {
  readonly gate: StoredGate;
  readonly atMs: number;
}

/** Turns what is told of a region's gate into metrics, log lines and the page `/gate`. */
export function observeGate(parts: GateObserverParts): GateObserver & { readonly page: () => Page } {
  const { region, ramp, metrics, log, clock } = parts;
  let last: Seen | undefined;
  const startMs = clock.monotonicMs();
  metrics.beforeText(() => {
    const nowMs = clock.monotonicMs();
    // At first it says nothing; one that is never seen is told of as one that is seen no more.
    if (last === undefined && nowMs - startMs < KNOWN_MS) return;
    const gate = last !== undefined && isKnown(last, nowMs) ? last.gate : undefined;
    for (const state of GATE_STATES)
      metrics.set('afterwrite_region_state', state === gate?.state ? 1 : 0, { region, state });
    metrics.set('afterwrite_region_share', gate?.share ?? 0, { region });
    metrics.set('afterwrite_region_admit', gate === undefined ? 0 : admitOf(gate, ramp), { region });
  });
  return {
    gate: (gate) => {
      const before = last?.gate;
      last = { gate, atMs: clock.monotonicMs() };
      if (before?.state === gate.state && before.epoch === gate.epoch) return;
      const { epoch, state, share, reason } = gate;
      log[state === 'COLD' ? 'warn' : 'info']('the region’s gate', { epoch, state, share, reason });
    },
    redisChanged: (change) => {
      metrics.add('afterwrite_region_redis_changes_total', 1, { region, change });
      log.warn('the region’s Redis is another than before', { change });
    },
    gateCold: (epoch, reason) => {
      metrics.add('afterwrite_region_cold_total', 1, { region, reason });
      log.warn('the region is cold', { epoch, reason });
    },
    gateUnfit: (error) => log.error('the region’s gate cannot be kept until an operator acts', errorFields(error)),
    page: () => pageOf(region, last, ramp, clock.monotonicMs()),
  };
}

function isKnown({ atMs }: Seen, nowMs: number): boolean {
  return nowMs - atMs < KNOWN_MS;
}

/** 200 where all traffic may come, else 503. */
function pageOf(region: string, last: Seen | undefined, ramp: readonly RampStep[], nowMs: number): Page {
  if (last === undefined)
    return { code: 503, body: { region, state: null, admit: 0, reason: 'the gate is not known yet' } };
  const { epoch, state, share, reason, sinceMs } = last.gate;
  const ageSeconds = Math.round((nowMs - last.atMs) / 1000);
  const admit = isKnown(last, nowMs) ? admitOf(last.gate, ramp) : 0;
  const body = { region, epoch, state, share, admit, reason, since: new Date(sinceMs).toISOString(), ageSeconds };
  return {
    code: admit === 1 ? 200 : 503,
    body: isKnown(last, nowMs)
      ? body
      : {
          ...body,
          reason: `not seen for ${ageSeconds} s: the region’s Redis is away, or the place of the gate is another program’s`,
        },
  };
}
