import type { BufferConfig, BufferLoss } from '../config/bus-config.ts';
import type { Clock } from '../runtime/clock.ts';
import type { BufferDepth, BufferLog } from './buffer-log.ts';
import type { BufferSink } from './buffer-sink.ts';
import { BufferWatch } from './buffer-watch.ts';
import { BufferWriter } from './buffer-writer.ts';
import { foldOf } from './entry.ts';
import { Flusher } from './flusher.ts';
import type { BufferObserver } from './observe.ts';

export interface OpenBufferPorts {
  readonly config: BufferConfig;
  /** What is appended goes by it, and nothing else: a read of megabytes would hold up acknowledgements. */
  readonly log: BufferLog;
  /** Where this process may write to Postgres. */
  readonly sink?: BufferSink;
  /** Where this process flushes: a second connection to the same log. */
  readonly flushLog?: BufferLog;
  readonly clock: Clock;
  readonly random: () => number;
  readonly writer: string;
  readonly observer: BufferObserver;
}

/** What a process has counted of a buffer since it began, and what it last saw of it. */
export interface BufferStats {
  /** Calls that were answered by an error. */
  readonly refused: number;
  /** Calls that were written to Postgres past the buffer. */
  readonly wroteThrough: number;
  /** Rows that this process has flushed. */
  readonly flushedRows: number;
  /** Of all processes; undefined until it was first seen. */
  readonly depth: BufferDepth | undefined;
  /** Whether more may be lost than the file names: the alarm is raised. */
  readonly isBehind: boolean;
  /** What may be lost, as the file names it. */
  readonly loss: BufferLoss;
}

/** One buffer of the file in one process: its writer, its watch and, where this process flushes, its flusher. */
export class OpenBuffer {
  readonly config: BufferConfig;
  readonly writer: BufferWriter;
  readonly #ports: OpenBufferPorts;
  readonly #watch: BufferWatch;
  /** Aborted when a drain waits no longer for what is on its way. */
  readonly #closing = new AbortController();
  readonly #stopping = new AbortController();
  readonly #background: Promise<unknown>;
  readonly #counts = { refused: 0, wroteThrough: 0, flushedRows: 0 };
  #isClosed = false;

  constructor(ports: OpenBufferPorts) {
    const { config, log, sink, flushLog, clock, random, writer, observer } = ports;
    this.config = config;
    this.#ports = ports;
    const fold = foldOf(config.kind);
    this.#watch = new BufferWatch(flushLog ?? log, config, observer);
    this.writer = new BufferWriter({
      log,
      ...(sink === undefined ? {} : { sink }),
      config,
      fold,
      clock,
      random,
      writer,
      closing: this.#closing.signal,
      observer: {
        refused: (calls, error) => {
          this.#counts.refused += calls;
          observer.refused(calls, error);
        },
        wroteThrough: (calls) => {
          this.#counts.wroteThrough += calls;
          observer.wroteThrough(calls);
        },
        waiting: (partition, ageMs) => this.#watch.waiting(partition, ageMs),
      },
    });
    const stop = this.#stopping.signal;
    const watching = this.#watch.run(clock, stop);
    if (sink === undefined || flushLog === undefined) this.#background = watching;
    else {
      const flusher = new Flusher({
        log: flushLog,
        sink,
        config,
        fold,
        clock,
        random,
        observer: {
          failed: (doing, error) => observer.failed(doing, error),
          looked: () => observer.looked(),
          flushed: (done) => {
            this.#counts.flushedRows += done.rows;
            observer.flushed(done);
          },
        },
      });
      this.#background = Promise.all([watching, flusher.run(stop)]);
    }
  }

  readonly isClosed = (): boolean => this.#isClosed;

  stats(): BufferStats {
    const { loss } = this.config;
    return { ...this.#counts, depth: this.#watch.depth, isBehind: this.#watch.isBehind, loss };
  }

  /**
   * Takes no more, sends what is gathered, and waits for it until `late`; what has no answer by then is refused. A batch that is being flushed is waited for
   * until `late` too: where Postgres hangs it is left to itself, and its entries are flushed by the next.
   */
  async drain(late: AbortSignal): Promise<void> {
    this.#isClosed = true;
    const giveUp = (): void => this.#closing.abort();
    late.addEventListener('abort', giveUp, { once: true });
    if (late.aborted) giveUp();
    await this.writer.drained();
    late.removeEventListener('abort', giveUp);
    this.#stopping.abort();
    const waited = Promise.withResolvers<void>();
    late.addEventListener('abort', () => waited.resolve(), { once: true });
    if (late.aborted) waited.resolve();
    await Promise.race([this.#background, waited.promise]);
    await Promise.all([this.#ports.log.close(), this.#ports.flushLog?.close()]);
  }
}
