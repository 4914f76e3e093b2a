/** What the pace keeps to. Each comes from the file's `warmup`, or is its default. */
export interface PaceLimits {
  /** Statements at a time: at least and at most. */
  readonly concurrencyMin: number;
  readonly concurrencyMax: number;
  /** Keys of a statement at most. */
  readonly batchMax: number;
  /** A statement that takes longer is too slow, whatever the lowest that was seen. */
  readonly latencyMaxMs: number;
}

/** Keys of the statements by which the baseline is first measured, and those by which the window grows a round. */
export const BATCH_FIRST = 25;
/** Statements of a measurement: the lowest of them counts. */
const PROBES = 5;
/** The baseline is measured again after so long. */
const REMEASURE_MS = 30_000;
/** A baseline may become so many times the lowest of all: a database that we have made slow must not make that its norm. */
const DRIFT_MAX = 2;
/** While the mean latency is at most so many times the baseline the window grows; */
const NEAR = 1.4;
/** when it is more than so many, it shrinks. */
const FAR = 2;
/** The weight of one statement in the mean. */
const WEIGHT = 0.2;
/** What is left of the window after latency, after a timeout, and after a refusal. */
const SHRINK_SLOW = 0.75;
const SHRINK_FAILED = 0.5;
/** How long nothing is asked after a refusal; doubled by each that follows, until something is answered. */
const PAUSE_FIRST_MS = 500;
const PAUSE_MAX_MS = 15_000;

/** One statement, from its beginning. */
export interface Step {
  readonly beganMs: number;
  /** Whether no other of ours was under way at any moment of it. */
  isAlone: boolean;
}

/** `timeout`: it took too long. `refused`: the server took no connection (SQLSTATE 53300), is away, or what was loaded could not be stored. */
export type PaceFailure = 'timeout' | 'refused';

/**
 * Decides how many keys are asked for at a time, by what the database's answers take: additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the
 * increase and decrease algorithms for congestion avoidance in computer networks", Computer Networks and ISDN Systems 17, 1989), on the quotient of a statement's latency
 * and the lowest that was seen of its size, as TCP Vegas and Netflix's gradient limits have it.
 *
 *     window          keys under way: one statement until that is full, then more at a time
 *     quotient <= 1.4   window += 25 a round              (a round: as many keys as the window has)
 *     quotient > 2      window *= 0.75, once a round
 *     timeout           window *= 0.5, once a round
 *     refused           window *= 0.5, once a round, and a pause
 *
 * The baseline of a size is measured by statements that are alone: the first of all, and again every 30 s. Longer statements are judged by those of their
 * own size, since the latency of one grows with its keys, whatever the database's load is. Times are monotonic milliseconds.
 */
export class Pace {
  readonly #limits: PaceLimits;
  readonly #underWay = new Set<Step>();
  readonly #baselines = new Map<number, Baseline>();
  #window: number;
  #quotient = 1;
  #probesLeft = PROBES;
  #probeLowestMs = Number.POSITIVE_INFINITY;
  #measuredAtMs: number;
  /** What began before says nothing of the window as it is now. */
  #shrunkAtMs = Number.NEGATIVE_INFINITY;
  #pauseMs = 0;
  #pausedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(limits: PaceLimits, nowMs: number) {
    this.#limits = limits;
    this.#window = this.#floor;
    this.#measuredAtMs = nowMs;
  }

  /** Keys of the next statement. */
  get batch(): number {
    const { batchMax } = this.#limits;
    const per = Math.min(batchMax, this.#window / this.#limits.concurrencyMin);
    if (per >= batchMax) return batchMax;
    return Math.min(batchMax, BATCH_FIRST * 2 ** Math.floor(Math.log2(Math.max(1, per / BATCH_FIRST))));
  }

  /** Statements that may be under way at a time. */
  get concurrency(): number {
    if (this.#isMeasuring) return 1;
    const { concurrencyMin, concurrencyMax } = this.#limits;
    return Math.max(concurrencyMin, Math.min(concurrencyMax, Math.floor(this.#window / this.batch)));
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** Milliseconds until the next may begin; 0 is now. */
  waitMs(nowMs: number): number {
    if (nowMs < this.#pausedUntilMs) return this.#pausedUntilMs - nowMs;
    return this.#underWay.size < this.concurrency ? 0 : Number.POSITIVE_INFINITY;
  }

  get facts(): PaceFacts {
    return { window: this.#window, batch: this.batch, concurrency: this.concurrency, quotient: this.#quotient };
  }

  begin(nowMs: number): Step {
    for (const other of this.#underWay) other.isAlone = false;
    const step: Step = { beganMs: nowMs, isAlone: this.#underWay.size === 0 };
    this.#underWay.add(step);
    return step;
  }

  /** It needed no load. */
  spared(step: Step): void {
    this.#underWay.delete(step);
  }

  /** It was answered: so many keys in so many milliseconds. */
  took(step: Step, keys: number, ms: number, nowMs: number): void {
    this.#underWay.delete(step);
    this.#pauseMs = 0;
    const size = Math.ceil(Math.log2(Math.max(1, keys)));
    if (this.#isMeasuring && step.isAlone) this.#probe(size, ms, nowMs);
    if (step.isAlone) this.#lower(size, ms);
    const isTooLong = ms > this.#limits.latencyMaxMs;
    const baseline = this.#baselines.get(size);
    if (baseline !== undefined) this.#quotient += (ms / baseline.ms - this.#quotient) * WEIGHT;
    if (isTooLong || this.#quotient > FAR) this.#shrink(step, SHRINK_SLOW, nowMs);
    else if (!this.#isMeasuring && baseline !== undefined && this.#quotient <= NEAR) this.#grow(keys);
    if (nowMs - this.#measuredAtMs >= REMEASURE_MS && !this.#isMeasuring) {
      this.#probesLeft = PROBES;
      this.#probeLowestMs = Number.POSITIVE_INFINITY;
    }
  }

  failed(step: Step, failure: PaceFailure, nowMs: number): void {
    this.#underWay.delete(step);
    this.#shrink(step, SHRINK_FAILED, nowMs);
    if (failure !== 'refused' || nowMs < this.#pausedUntilMs) return;
    this.#pauseMs = Math.min(PAUSE_MAX_MS, Math.max(PAUSE_FIRST_MS, this.#pauseMs * 2));
    this.#pausedUntilMs = nowMs + this.#pauseMs;
  }

  get #floor(): number {
    return Math.min(BATCH_FIRST, this.#limits.batchMax) * this.#limits.concurrencyMin;
  }

  get #isMeasuring(): boolean {
    return this.#probesLeft > 0;
  }

  #probe(size: number, ms: number, nowMs: number): void {
    this.#probesLeft -= 1;
    this.#probeLowestMs = Math.min(this.#probeLowestMs, ms);
    if (this.#probesLeft > 0) return;
    this.#measuredAtMs = nowMs;
    const lowestMs = Math.min(this.#baselines.get(size)?.lowestMs ?? Number.POSITIVE_INFINITY, this.#probeLowestMs);
    const before = this.#baselines.get(size)?.ms ?? this.#probeLowestMs;
    const after = Math.min(this.#probeLowestMs, lowestMs * DRIFT_MAX);
    // A database that has become slower or faster has become so for every size.
    for (const baseline of this.#baselines.values())
      baseline.ms = Math.min(baseline.ms * (after / before), baseline.lowestMs * DRIFT_MAX);
    this.#baselines.set(size, { ms: after, lowestMs });
    this.#quotient = 1;
  }

  #lower(size: number, ms: number): void {
    const baseline = this.#baselines.get(size);
    if (baseline === undefined) this.#baselines.set(size, { ms, lowestMs: ms });
    else if (ms < baseline.ms) {
      baseline.ms = ms;
      baseline.lowestMs = Math.min(baseline.lowestMs, ms);
    }
  }

  #grow(keys: number): void {
    const { batchMax, concurrencyMax } = this.#limits;
    this.#window = Math.min(batchMax * concurrencyMax, this.#window + (BATCH_FIRST * keys) / this.#window);
  }

  #shrink(step: Step, by: number, nowMs: number): void {
    if (step.beganMs < this.#shrunkAtMs) return;
    this.#shrunkAtMs = nowMs;
    this.#window = Math.max(this.#floor, this.#window * by);
    this.#quotient = NEAR;
  }
}

interface Baseline {
  ms: number;
  /** Of all times. */
  lowestMs: number;
}

export interface PaceFacts {
  /** Keys that may be under way. */
  readonly window: number;
  readonly batch: number;
  readonly concurrency: number;
  /** The mean of a statement's latency to the baseline. */
  readonly quotient: number;
}
