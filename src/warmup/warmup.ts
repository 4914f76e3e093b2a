import type { Clock } from '../runtime/clock.ts';
import type { Shard, WarmGate } from './hot-keys.ts';
import { Ledger, type LedgerFacts } from './ledger.ts';
import { outcomeOf, type WarmedKey } from './outcome.ts';
import type { Pace, PaceFacts } from './pace.ts';
import type { Batch, WarmupPlan } from './plan.ts';
import { partOf, RefusedFamilies, takenOf } from './refused.ts';
import { tellWarm } from './tell-warm.ts';

/** How often the gate is told, and asked whether it is still the one. */
export const REPORT_MS = 1000;
/** Keys that something crossed are asked for again, as long as a pass gets some of them stored; after so many that did not, and so many at all, no more. */
const IDLE_PASSES_MAX = 2;
const PASSES_MAX = 20;
/** Between two passes: cells that nobody held, or what was not settled, need a moment. */
const PASS_PAUSE_MS = 1000;
/** Of so many keys of a family, none of which may be stored, it is not each that something crossed: the region takes nothing of it. */
const FOR_NOTHING_MIN = 10;

/** Asks for keys of a family as a reader would: each has its lease, its proof, its store. */
export interface Reader {
  warm(
    family: string,
    keys: readonly string[],
    signal: AbortSignal,
  ): Promise<{ readonly keys: readonly WarmedKey[]; readonly loadMs: number }>;
}

export interface WarmupObserver {
  /** So many keys of it were loaded, in so long. */
  asked(family: string, loads: number, loadMs: number): void;
  progress(facts: LedgerFacts & PaceFacts): void;
  /** It goes on, and somebody may wish to know. */
  hindered(why: 'timeout' | 'refused' | 'crossed' | 'gate', error: unknown, family?: string): void;
}

export interface WarmupParts {
  readonly plan: WarmupPlan;
  readonly reader: Reader;
  readonly gate: WarmGate;
  /** The gate's epoch, for which this acts. */
  readonly epoch: string;
  readonly shard: Shard;
  /** The share of reads at which it is done, from 0 to 1. */
  readonly target: number;
  /** Whether a family of which the region stores nothing is waited for. A round of a shadow ends without it: the next one looks anew. */
  readonly waits: boolean;
  /** Of one round after another, one pace: what it has measured holds. */
  readonly pace: Pace;
  readonly clock: Clock;
  readonly observer: WarmupObserver;
}

export type WarmupEnd =
  /** The target is reached, and the gate was told. */
  | { readonly kind: 'warm' }
  /** The gate is another: what this has stored counts no more. */
  | { readonly kind: 'moved' }
  /** It would end so each time. */
  | { readonly kind: 'never'; readonly error: unknown }
  /** All was asked for, and what crossed it, or took too long, keeps the share below the target. */
  | { readonly kind: 'short'; readonly share: number }
  | { readonly kind: 'stopped' };

/**
 * Warms what a plan names, hottest first, at the database's pace, until the share of reads that the cache answers has reached the target.
 *
 *     plan ──▶ batch ──▶ reader ─┬ hit, stored ───────▶ counts for the share
 *                ▲               ├ nothing to keep, or the key's own error: counts for nothing
 *                │               ├ crossed ────────▶ once more, after the others
 *                │               ├ all crossed ────▶ no more of that family until the others are done; then a batch at a time, with pauses
 *                └─── again ─────┴ timeout, refused ▶ once more, slower; what timed out by halves, a key by itself after the others
 *
 * Nothing is remembered but in Redis: started again, it goes through the same keys, and those that stand are hits.
 */
export class Warmup {
  readonly #parts: WarmupParts;
  readonly #pace: Pace;
  readonly #ledger: Ledger;
  /** What was interrupted comes before what was not asked for yet. */
  readonly #again: Batch[] = [];
  #crossed: Batch[] = [];
  readonly #refused = new RefusedFamilies();
  #passes = 1;
  #idlePasses = 0;
  #warmBefore = 0;
  readonly #over = new AbortController();
  #end: WarmupEnd | undefined;
  #changed = Promise.withResolvers<void>();

  constructor(parts: WarmupParts) {
    this.#parts = parts;
    this.#pace = parts.pace;
    this.#ledger = new Ledger(parts.plan.readsPerSecond);
  }

  get facts(): LedgerFacts & PaceFacts {
    return { ...this.#ledger.facts, ...this.#pace.facts };
  }

  get families(): Ledger['families'] {
    return this.#ledger.families;
  }

  async run(stop: AbortSignal): Promise<WarmupEnd> {
    const onStop = (): void => this.#finish({ kind: 'stopped' });
    if (stop.aborted) onStop();
    stop.addEventListener('abort', onStop, { once: true });
    const reporting = this.#report();
    try {
      await this.#load();
    } finally {
      stop.removeEventListener('abort', onStop);
      this.#over.abort();
      await reporting;
    }
    const end = this.#end ?? { kind: 'short', share: this.#ledger.share };
    this.#parts.observer.progress(this.facts);
    if (end.kind !== 'warm') return end;
    const { observer } = this.#parts;
    const hindered = (error: unknown): void => observer.hindered('gate', error);
    return tellWarm({ ...this.#parts, share: this.#ledger.share, hindered }, stop);
  }

  async #load(): Promise<void> {
    const { clock, plan, waits } = this.#parts;
    if (this.#isReached()) this.#finish({ kind: 'warm' });
    while (this.#end === undefined) {
      const waitMs = this.#pace.waitMs(clock.monotonicMs());
      if (waitMs === 0) {
        const size = this.#pace.batch;
        const batch = takenOf(this.#again, size) ?? plan.next(size, this.#refused.has);
        if (batch !== undefined) {
          void this.#ask(batch);
          continue;
        }
        if (this.#pace.underWay === 0) {
          if (this.#nextPass()) {
            await clock.sleep(PASS_PAUSE_MS, this.#over.signal);
            continue;
          }
          const tried = waits ? this.#refused.next(size) : undefined;
          if (tried === undefined) return this.#giveUp();
          void this.#ask(tried, true);
          continue;
        }
      }
      await this.#until(waitMs);
    }
  }

  /** Until something has ended, or the pause has. */
  async #until(waitMs: number): Promise<void> {
    this.#changed = Promise.withResolvers();
    if (waitMs === 0 || !Number.isFinite(waitMs)) return this.#changed.promise;
    const awake = new AbortController();
    const signal = AbortSignal.any([awake.signal, this.#over.signal]);
    await Promise.race([this.#changed.promise, this.#parts.clock.sleep(waitMs, signal)]);
    awake.abort();
  }

  /** Whether what was crossed is asked for once more, all others having been. */
  #nextPass(): boolean {
    if (this.#crossed.length === 0) return false;
    const { loaded, wereWarm } = this.#ledger.facts;
    const isIdle = this.#passes > 1 && loaded + wereWarm === this.#warmBefore;
    this.#warmBefore = loaded + wereWarm;
    if (isIdle) this.#idlePasses += 1;
    if (this.#idlePasses >= IDLE_PASSES_MAX || this.#passes >= PASSES_MAX) return false;
    this.#passes += 1;
    this.#again.push(...this.#crossed.toReversed());
    this.#crossed = [];
    return true;
  }

  #giveUp(): void {
    for (const { family, keys } of [...this.#crossed, ...this.#refused.batches])
      for (const _ of keys) this.#ledger.notStored(family);
  }

  /** One key that always takes too long must not take the others of its batch along, nor hold up the rest. */
  #askByHalves(batch: Batch): void {
    const half = batch.keys.length >> 1;
    if (half === 0) this.#crossed.push(batch);
    else this.#again.push(partOf(batch, half), partOf(batch, 0, half));
  }

  /** `isTry`: of a family of which nothing was stored, while nothing else is left to ask for. */
  async #ask(batch: Batch, isTry = false): Promise<void> {
    const { clock, reader, observer } = this.#parts;
    const step = this.#pace.begin(clock.monotonicMs());
    try {
      const beganMs = clock.monotonicMs();
      const { keys, loadMs: manyMs } = await reader.warm(batch.family, batch.keys, this.#over.signal);
      if (this.#over.signal.aborted) return this.#pace.spared(step);
      const outcomes = keys.map(outcomeOf);
      const sorted = new Sorted(batch);
      outcomes.forEach((outcome, i) => {
        const reads = batch.reads[i] ?? 0;
        if (outcome.kind === 'warm') this.#ledger.warm(batch.family, outcome.by, reads);
        else if (outcome.kind === 'none') this.#ledger.lost(batch.family, 'none', reads);
        else if (outcome.kind === 'unreadable') this.#ledger.lost(batch.family, 'failed', reads);
        else sorted.add(outcome.kind, i);
      });
      const nowMs = clock.monotonicMs();
      // Where each key is a load of its own, they are measured together.
      const loadMs = manyMs > 0 ? manyMs : nowMs - beganMs;
      const failure = outcomes.find((one) => one.kind === 'again')?.failure;
      const never = outcomes.find((one) => one.kind === 'never' || one.kind === 'unreadable');
      const loads = outcomes.filter((one) => !(one.kind === 'warm' && one.by === 'hit')).length;
      observer.asked(batch.family, loads, loadMs);
      const isForNothing = keys.length >= FOR_NOTHING_MIN && sorted.crossed.keys.length === keys.length;
      if (failure !== undefined || (isForNothing && isTry)) this.#pace.failed(step, failure ?? 'unstored', nowMs);
      else if (loads === 0) this.#pace.spared(step);
      else this.#pace.took(step, loads, loadMs, nowMs);
      if (failure !== undefined || isForNothing) {
        const failed = keys.find((one) => one.kind === 'failed');
        const error = failed?.kind === 'failed' ? failed.error : undefined;
        observer.hindered(failure ?? 'crossed', error, batch.family);
      }
      if (failure === 'timeout') this.#askByHalves(sorted.again);
      else if (sorted.again.keys.length > 0) this.#again.push(sorted.again);
      if (isForNothing) this.#refused.add(sorted.crossed);
      else {
        if (sorted.crossed.keys.length > 0) this.#crossed.push(sorted.crossed);
        if (this.#refused.has(batch.family)) this.#release(batch.family);
      }
      if (never?.kind === 'never' || (never !== undefined && this.#ledger.isHopeless(batch.family)))
        this.#finish({ kind: 'never', error: never.error });
      else if (this.#isReached()) this.#finish({ kind: 'warm' });
    } catch (error) {
      this.#pace.spared(step);
      if (!this.#over.signal.aborted) this.#finish({ kind: 'never', error });
    } finally {
      this.#changed.resolve();
    }
  }

  /** What was crossed while the region stored nothing of a family has its passes anew. */
  #release(family: string): void {
    this.#again.push(...this.#refused.release(family).toReversed());
    this.#passes = 1;
    this.#idlePasses = 0;
  }

  #isReached(): boolean {
    return this.#ledger.share >= this.#parts.target;
  }

  #finish(end: WarmupEnd): void {
    this.#end ??= end;
    this.#over.abort();
    this.#changed.resolve();
  }

  async #report(): Promise<void> {
    const { clock, gate, epoch, shard, observer } = this.#parts;
    const { signal } = this.#over;
    while (!signal.aborted) {
      observer.progress(this.facts);
      try {
        if ((await gate.report(epoch, this.#ledger.share, shard)) === 'moved') this.#finish({ kind: 'moved' });
      } catch (error) {
        // The region's Redis is away: reads of it will say so too.
        observer.hindered('gate', error);
      }
      await clock.sleep(REPORT_MS, signal);
    }
  }
}

/** The keys of a batch that are asked for once more. */
class Sorted {
  readonly again: { family: string; keys: string[]; reads: number[] };
  readonly crossed: { family: string; keys: string[]; reads: number[] };
  readonly #batch: Batch;

  constructor(batch: Batch) {
    this.#batch = batch;
    this.again = { family: batch.family, keys: [], reads: [] };
    this.crossed = { family: batch.family, keys: [], reads: [] };
  }

  add(kind: 'again' | 'crossed' | 'never', index: number): void {
    const to = kind === 'crossed' ? this.crossed : this.again;
    to.keys.push(this.#batch.keys[index] ?? '');
    to.reads.push(this.#batch.reads[index] ?? 0);
  }
}
