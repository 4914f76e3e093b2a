import { BusError, isBusError } from '../protocol/errors.ts';
import { decodeHotReads, type HotBucket, type HotKeyLog } from '../protocol/hot-key.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import { HotMerge } from './hot-merge.ts';
import type { HotReadsSource } from './region-store.ts';

/** What is told of a region's hot keys. */
export interface HotKeysObserver {
  /** Reports of reads that were added up, and how many keys of each family are known. */
  hotReads(reports: number, keys: ReadonlyMap<string, number>): void;
  hotKeysPublished(buckets: number): void;
  /** A report, or a published bucket, that cannot be read; or no place to publish in. What follows is not affected. */
  hotKeysFault(error: BusError): void;
}

export interface HotKeysPorts {
  readonly region: string;
  readonly families: Iterable<string>;
  readonly keysMax: number;
  /** Opened when it is needed, and again after a failure. */
  readonly openLog: () => Promise<HotKeyLog>;
}

export interface HotKeysParts {
  readonly ports: HotKeysPorts;
  readonly source: HotReadsSource;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: HotKeysObserver;
  /** Whether this agent holds cell 0: then it is the one who merges. */
  readonly isMine: () => boolean;
}

const STEP_EVERY_MS = 1000;
const TOP_EVERY_MS = 5000;
/** Reports in one script, and in one step: between two steps the agent does the rest of its work. */
const TAKE_MAX = 20;
const TAKES_MAX = 10;
/** Buckets in one write: between two the agent does the rest of its work. */
const WRITE_MAX = 16;
const BACKOFF = { firstMs: 1000, maxMs: 30_000 };

/**
 * Adds up what the region's processes tell of their reads, and publishes it, for as long as this agent holds cell 0.
 *
 *     cell 0 ──▶ what was published of the region ──▶ reports, each second ──▶ buckets that are due
 *
 * Nothing here keeps a cell from its evictions: faults are told, and what fails is tried again. Two that merge for a moment, while the cell changes hands, each
 * publish what they know; it differs by seconds of reads.
 */
export async function hotKeysLoop(parts: HotKeysParts, signal: AbortSignal): Promise<void> {
  const over = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => over.resolve(), { once: true });
  if (signal.aborted) return;
  const merging = mergeUntil(parts, signal);
  merging.catch(() => undefined);
  // A log that hangs must not hold up an agent that ends, or one whose Redis is away.
  await Promise.race([merging, over.promise]);
}

async function mergeUntil(parts: HotKeysParts, signal: AbortSignal): Promise<void> {
  const { clock, random, isMine, observer } = parts;
  let merging: Merging | undefined;
  let failures = 0;
  try {
    while (!signal.aborted) {
      if (!isMine()) {
        await merging?.close();
        merging = undefined;
      } else {
        try {
          merging ??= await Merging.open(parts, signal);
          await merging.step();
          failures = 0;
        } catch (error) {
          if (!isBusError(error) || (error.code === 'REDIS_UNREACHABLE' && !(error instanceof LogFailure))) throw error;
          observer.hotKeysFault(error);
          failures += 1;
          await clock.sleep(backoffMs(failures, BACKOFF, random), signal);
        }
      }
      await clock.sleep(STEP_EVERY_MS, signal);
    }
  } finally {
    await merging?.close();
  }
}

/** The log's own failure, which says nothing of the region's Redis, though the log may be a Redis too. */
class LogFailure extends BusError {
  constructor(error: BusError) {
    super(error.code, error.message, { cause: error, ...(error.at === undefined ? {} : { at: error.at }) });
  }
}

async function ofLog<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw isBusError(error) ? new LogFailure(error) : error;
  }
}

/** Adds up by a clock that never goes back: by one that was set back nothing would be due for as long. What is published bears the time of day. */
class Merging {
  readonly #parts: HotKeysParts;
  readonly #merge: HotMerge;
  #log: HotKeyLog | undefined;
  #topAtMs = Number.NEGATIVE_INFINITY;

  private constructor(parts: HotKeysParts, log: HotKeyLog) {
    const { ports, clock } = parts;
    this.#parts = parts;
    this.#log = log;
    this.#merge = new HotMerge(ports.families, ports.keysMax, clock.monotonicMs());
  }

  static async open(parts: HotKeysParts, signal: AbortSignal): Promise<Merging> {
    const { ports, observer } = parts;
    const log = await ofLog(ports.openLog());
    const merging = new Merging(parts, log);
    try {
      await ofLog(
        merging.#resumeAll(
          log.read(ports.region, (error) => observer.hotKeysFault(error)),
          signal,
        ),
      );
      return merging;
    } catch (error) {
      await log.close();
      throw error;
    }
  }

  async #resumeAll(published: AsyncIterable<HotBucket>, signal: AbortSignal): Promise<void> {
    for await (const bucket of published) {
      if (signal.aborted) break;
      this.#resume(bucket);
    }
  }

  #resume(bucket: HotBucket): void {
    const { clock } = this.#parts;
    const nowMs = clock.monotonicMs();
    const ageMs = Math.max(0, clock.nowMs() - bucket.atMs);
    this.#merge.resume({ ...bucket, atMs: nowMs - ageMs }, nowMs);
  }

  async step(): Promise<void> {
    const { ports, source, clock, observer } = this.#parts;
    for (let take = 0; take < TAKES_MAX; take++) {
      const reports = await source.take(TAKE_MAX);
      for (const report of reports) this.#add(report);
      const families = [...ports.families];
      observer.hotReads(reports.length, new Map(families.map((family) => [family, this.#merge.keysOf(family)])));
      if (reports.length < TAKE_MAX) break;
    }
    const nowMs = clock.monotonicMs();
    const withTop = nowMs - this.#topAtMs >= TOP_EVERY_MS;
    if (withTop) this.#topAtMs = nowMs;
    for (;;) {
      const due = this.#merge.due(nowMs, withTop, WRITE_MAX);
      if (due.length === 0) return;
      await this.#publish(due);
    }
  }

  async #publish(due: readonly HotBucket[]): Promise<void> {
    const { ports, clock, observer } = this.#parts;
    const atMs = clock.nowMs();
    try {
      this.#log ??= await ofLog(ports.openLog());
      const dated = due.map((bucket) => ({ ...bucket, atMs }));
      await ofLog(this.#log.write(ports.region, dated));
      observer.hotKeysPublished(due.length);
    } catch (error) {
      this.#merge.unpublished(due);
      await this.#log?.close();
      this.#log = undefined;
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.#log?.close();
  }

  #add(report: string): void {
    const { observer, clock } = this.#parts;
    try {
      this.#merge.add(decodeHotReads(report, 'the stream of hot reads'), clock.monotonicMs());
    } catch (error) {
      if (!isBusError(error)) throw error;
      observer.hotKeysFault(error);
    }
  }
}
