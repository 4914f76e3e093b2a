import type { BufferConfig } from '../config/bus-config.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import type { BufferLog, ReadLimits, StoredEntry } from './buffer-log.ts';
import type { BufferSink } from './buffer-sink.ts';
import type { Fold } from './entry.ts';
import { planFlush } from './flush-plan.ts';
import type { BufferObserver } from './observe.ts';
import { readShape, type Shape, shapeText } from './shape.ts';

export interface FlusherPorts {
  readonly log: BufferLog;
  readonly sink: BufferSink;
  readonly config: BufferConfig;
  readonly fold: Fold;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: Pick<BufferObserver, 'flushed' | 'looked' | 'failed'>;
}

/** What one transaction takes at most. */
const BATCH = { entriesMax: 2000, bytesMax: 8 << 20 };
const RETRY = { firstMs: 50, maxMs: 2000 };
/** What a batch is of a whole one: less after each failure, down to one entry, and a little more after each success. */
const SHARE = { least: 1 / BATCH.entriesMax, afterFailure: 1 / 4, afterSuccess: 5 / 4 };

/** Brings a buffer's entries into Postgres, and removes them once they are there. Any number may work on one buffer. */
export class Flusher {
  readonly #ports: FlusherPorts;
  /**
   * Of each partition whose last batch failed, or those before it. A batch may be more than the database does in its time (statement_timeout, a pool’s query_timeout),
   * as behind an outage, and as large a one would fail for ever.
   */
  readonly #shares = new Map<number, number>();

  constructor(ports: FlusherPorts) {
    this.#ports = ports;
  }

  /** Flushes as often as the file says, until the abort. It ends between two batches. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock, config, random, observer } = this.#ports;
    let failures = 0;
    while (!stop.aborted) {
      const beganMs = clock.monotonicMs();
      try {
        await this.flush(stop);
        failures = 0;
        observer.looked();
      } catch (error) {
        observer.failed('flush', error);
        failures += 1;
      }
      const restMs = Math.max(1, config.flushEveryMs - (clock.monotonicMs() - beganMs));
      await clock.sleep(failures === 0 ? restMs : backoffMs(failures, RETRY, random), stop);
    }
  }

  /**
   * Flushes what there is, a batch of each partition in turn: one that is filled as fast as it is flushed keeps none of the others waiting. One's failure
   * keeps none of the others back either; the last is thrown.
   */
  async flush(stop: AbortSignal): Promise<void> {
    const failures: unknown[] = [];
    let left = Array.from({ length: this.#ports.config.partitions }, (_, partition) => partition);
    while (left.length > 0) {
      const more: number[] = [];
      for (const partition of left) {
        if (stop.aborted) break;
        try {
          if (await this.#flushBatch(partition)) more.push(partition);
        } catch (error) {
          failures.push(error);
        }
      }
      left = more;
    }
    if (failures.length > 0) throw failures.at(-1);
  }

  /** Whether there may be more. */
  async #flushBatch(partition: number): Promise<boolean> {
    const { log } = this.#ports;
    const share = this.#shares.get(partition) ?? 1;
    const limits = limitsOf(share);
    const read = await log.read(partition, limits);
    const batch = ofOneShape(read);
    if (batch.length === 0) return false;
    try {
      if (!(await this.#write(partition, batch))) return false;
    } catch (error) {
      this.#shares.set(partition, Math.max(SHARE.least, share * SHARE.afterFailure));
      throw error;
    }
    if (share * SHARE.afterSuccess < 1) this.#shares.set(partition, share * SHARE.afterSuccess);
    else this.#shares.delete(partition);
    await log.remove(partition, batch);
    return batch.length < read.length || isWholeBatch(read, limits);
  }

  async #write(partition: number, entries: readonly StoredEntry[]): Promise<boolean> {
    const { sink, fold, config, clock, observer } = this.#ports;
    const beganMs = clock.monotonicMs();
    const shape = foreignShape(config, entries[0]?.shape ?? '');
    const answer = await sink.write(
      partition,
      (flushed, nowSeconds) => ({
        ...planFlush(entries, flushed, shape === 'unreadable' ? undefined : fold, nowSeconds),
        ...(typeof shape === 'object' ? { shape } : {}),
      }),
      false,
    );
    if (answer.kind !== 'written') return false;
    const { plan, refused, unmatched } = answer;
    observer.flushed({
      plan,
      rows: plan.rows.size - refused - unmatched,
      refused: refused + plan.unreadable.length,
      unmatched,
      seconds: (clock.monotonicMs() - beganMs) / 1000,
    });
    return true;
  }
}

/** The oldest entries as far as they are of one shape. */
function ofOneShape(entries: readonly StoredEntry[]): readonly StoredEntry[] {
  const other = entries.findIndex(({ shape }) => shape !== entries[0]?.shape);
  return other < 0 ? entries : entries.slice(0, other);
}

/** The shape of entries where it is not the file's. What adds up is no row, so entries of the other kind cannot be read. */
function foreignShape(config: BufferConfig, text: string): Shape | 'unreadable' | undefined {
  if (text === shapeText(config)) return undefined;
  const shape = readShape(text);
  return shape?.kind === config.kind ? shape : 'unreadable';
}

/** One entry at least. */
function limitsOf(share: number): ReadLimits {
  return { entriesMax: Math.ceil(BATCH.entriesMax * share), bytesMax: Math.ceil(BATCH.bytesMax * share) };
}

/** Whether there may be more: the log had as much as one transaction takes. */
function isWholeBatch(entries: readonly StoredEntry[], { entriesMax, bytesMax }: ReadLimits): boolean {
  const bytes = entries.reduce((sum, { data }) => sum + data.length, 0);
  return entries.length >= entriesMax || bytes >= bytesMax;
}
