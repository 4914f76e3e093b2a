import type { BufferConfig } from '../config/bus-config.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import type { BufferLog, StoredEntry } from './buffer-log.ts';
import type { BufferSink } from './buffer-sink.ts';
import type { Fold } from './entry.ts';
import { planFlush } from './flush-plan.ts';
import type { BufferObserver } from './observe.ts';

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

/** Brings a buffer's entries into Postgres, and removes them once they are there. Any number may work on one buffer. */
export class Flusher {
  readonly #ports: FlusherPorts;

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

  /** Flushes what there is. One partition's failure keeps none of the others back; the last is thrown. */
  async flush(stop: AbortSignal): Promise<void> {
    let failure: unknown;
    for (let partition = 0; partition < this.#ports.config.partitions && !stop.aborted; partition++) {
      try {
        await this.#flushPartition(partition, stop);
      } catch (error) {
        failure = error;
      }
    }
    if (failure !== undefined) throw failure;
  }

  async #flushPartition(partition: number, stop: AbortSignal): Promise<void> {
    const { log } = this.#ports;
    for (;;) {
      const entries = await log.read(partition, BATCH);
      if (entries.length === 0 || !(await this.#write(partition, entries))) return;
      await log.remove(partition, entries);
      if (stop.aborted || !isWholeBatch(entries)) return;
    }
  }

  async #write(partition: number, entries: readonly StoredEntry[]): Promise<boolean> {
    const { sink, fold, clock, observer } = this.#ports;
    const beganMs = clock.monotonicMs();
    const nowSeconds = Math.floor(clock.nowMs() / 1000);
    const answer = await sink.write(partition, (flushed) => planFlush(entries, flushed, fold, nowSeconds), false);
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

/** Whether there may be more: the log had as much as one transaction takes. */
function isWholeBatch(entries: readonly StoredEntry[]): boolean {
  const bytes = entries.reduce((sum, { data }) => sum + data.length, 0);
  return entries.length >= BATCH.entriesMax || bytes >= BATCH.bytesMax;
}
