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
/** The median of so many statements is a measurement, of the baseline and of now alike: the mean, and the lowest, are chance on a busy machine. */
const SAMPLES = 7;
/** The baseline is measured again after so long. */
const REMEASURE_MS = 30_000;
/** A baseline may become so many times the lowest of all: a database that was made slow must not have that for its norm. */
const DRIFT_MAX = 3;
/** While the latency is at most so many times the baseline the window grows; */
const NEAR = 1.4;
/** when it is more than so many, it shrinks. */
const FAR = 2;
/** What is left of the window after latency, and after a timeout or a refusal. */
const SHRINK_SLOW = 0.75;
const SHRINK_FAILED = 0.5;
/** How long nothing is asked after a refusal; doubled by each that follows, until something is answered. */
const PAUSE_FIRST_MS = 500;
const PAUSE_MAX_MS = 15_000;
/** Where it is the region that takes nothing: agents take its cells within some seconds, and readers wait for that. */
const PAUSE_UNSTORED_MAX_MS = 2000;

/** One statement, from its beginning. */
export interface Step {
  readonly beganMs: number;
  /** Whether no other of ours was under way at any moment of it. */
  isAlone: boolean;
}

/** `timeout`: it took too long. `refused`: the server took no connection (SQLSTATE 53300), or is away. `unstored`: nothing that was loaded could be stored. */
export type PaceFailure = 'timeout' | 'refused' | 'unstored';

/**
 * Decides how many keys are asked for at a time, by what the database's answers take: additive increase, multiplicative decrease (Chiu and Jain, "Analysis of the
 * increase and decrease algorithms for congestion avoidance in computer networks", Computer Networks and ISDN Systems 17, 1989), on the quotient of a statement's latency
 * and its baseline, as TCP Vegas and Netflix's gradient limits have it.
 *
 *     window            keys under way: one statement until that is full, then more at a time
 *     quotient <= 1.4   window += 25 a round              (a round: as many keys as the window has)
 *     quotient > 2      window *= 0.75, and seven statements more are waited for
 *     timeout           window *= 0.5, once a round
 *     refused, unstored window *= 0.5, once a round, and a pause
 *
 * The baseline of a size is the median of seven statements that are alone: when the size is new, and again every 30 s. Each is judged by those of its
 * own size, since latency grows with the keys of a statement whatever the database's load is. Times are monotonic milliseconds.
 */
export class Pace {
  readonly #limits: PaceLimits;
  readonly #underWay = new Set<Step>();
  readonly #baselines = new Map<number, Baseline>();
  #window: number;
  /** Of the last statements, each one's latency to the baseline of its size. */
  #quotients: number[] = [];
  /** Of the measurement that goes on, of one size. */
  #probes: number[] | undefined = [];
  #probedSize = 0;
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
    const { batchMax, concurrencyMin } = this.#limits;
    const each = Math.min(batchMax, this.#window / concurrencyMin);
    if (each >= batchMax) return batchMax;
    return Math.min(batchMax, BATCH_FIRST * 2 ** Math.max(0, Math.floor(Math.log2(each / BATCH_FIRST))));
  }

  /** Statements that may be under way at a time. */
  get concurrency(): number {
    if (this.#probes !== undefined) return 1;
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
    const quotient = this.#quotients.length === 0 ? 1 : median(this.#quotients);
    return { window: this.#window, batch: this.batch, concurrency: this.concurrency, quotient };
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
    const size = sizeOf(keys);
    if (ms > this.#limits.latencyMaxMs) this.#shrink(step, SHRINK_SLOW, nowMs);
    if (this.#probes !== undefined) {
      if (step.isAlone) this.#probe(this.#probes, size, ms, nowMs);
      return;
    }
    const baseline = this.#baselines.get(size);
    if (baseline !== undefined) this.#judge(step, keys, ms / baseline.ms, nowMs);
    const isNew = !this.#baselines.has(sizeOf(this.batch));
    if (isNew || nowMs - this.#measuredAtMs >= REMEASURE_MS) this.#probes = [];
  }

  failed(step: Step, failure: PaceFailure, nowMs: number): void {
    this.#underWay.delete(step);
    this.#shrink(step, SHRINK_FAILED, nowMs);
    if (failure === 'timeout' || nowMs < this.#pausedUntilMs) return;
    const mostMs = failure === 'unstored' ? PAUSE_UNSTORED_MAX_MS : PAUSE_MAX_MS;
    this.#pauseMs = Math.min(mostMs, Math.max(PAUSE_FIRST_MS, this.#pauseMs * 2));
    this.#pausedUntilMs = nowMs + this.#pauseMs;
  }

  get #floor(): number {
    return Math.min(BATCH_FIRST, this.#limits.batchMax) * this.#limits.concurrencyMin;
  }

  #judge(step: Step, keys: number, quotient: number, nowMs: number): void {
    this.#quotients.push(quotient);
    if (this.#quotients.length > SAMPLES) this.#quotients.shift();
    if (this.#quotients.length < SAMPLES) return;
    const now = median(this.#quotients);
    if (now > FAR) this.#shrink(step, SHRINK_SLOW, nowMs);
    else if (now <= NEAR) this.#grow(keys);
  }

  #probe(probes: number[], size: number, ms: number, nowMs: number): void {
    if (size !== this.#probedSize) probes.length = 0;
    this.#probedSize = size;
    probes.push(ms);
    if (probes.length < SAMPLES) return;
    this.#probes = undefined;
    this.#measuredAtMs = nowMs;
    this.#quotients = [];
    const measuredMs = median(probes);
    const before = this.#baselines.get(size);
    const lowestMs = Math.min(before?.lowestMs ?? this.#mostMs(size), measuredMs);
    const after = Math.min(measuredMs, lowestMs * DRIFT_MAX);
    this.#baselines.set(size, { ms: after, lowestMs });
    if (before === undefined) return;
    // A database that has become slower or faster has become so for every size.
    for (const [other, baseline] of this.#baselines)
      if (other !== size) baseline.ms = Math.min(baseline.ms * (after / before.ms), baseline.lowestMs * DRIFT_MAX);
  }

  /** What a statement of the size takes at most, by what others have taken: no more than a larger one, nor than two of half its keys. */
  #mostMs(size: number): number {
    const bounds = [...this.#baselines].map(([other, { lowestMs }]) => lowestMs * 2 ** Math.max(0, size - other));
    return Math.min(Number.POSITIVE_INFINITY, ...bounds);
  }

  #grow(keys: number): void {
    const { batchMax, concurrencyMax } = this.#limits;
    this.#window = Math.min(batchMax * concurrencyMax, this.#window + (BATCH_FIRST * keys) / this.#window);
  }

  #shrink(step: Step, by: number, nowMs: number): void {
    if (step.beganMs < this.#shrunkAtMs) return;
    this.#shrunkAtMs = nowMs;
    this.#window = Math.max(this.#floor, this.#window * by);
    this.#quotients = [];
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
  /** The median of the last statements' latencies to their baselines. */
  readonly quotient: number;
}

/** Statements of about so many keys are of one size. */
function sizeOf(keys: number): number {
  return Math.ceil(Math.log2(Math.max(1, keys)));
}

function median(list: readonly number[]): number {
  return list.toSorted((a, b) => a - b)[list.length >> 1] ?? 1;
}
