import type { BufferSink, SinkAnswer } from '../../src/buffer/buffer-sink.ts';
import type { BufferDepth } from '../../src/buffer/buffer-log.ts';
import { addUp, type BufferValue, foldOf } from '../../src/buffer/entry.ts';
import type { FlushedWriters } from '../../src/buffer/flush-plan.ts';
import { Flusher } from '../../src/buffer/flusher.ts';
import type { BufferObserver, FlushDone } from '../../src/buffer/observe.ts';
import { OpenBuffer } from '../../src/buffer/open-buffer.ts';
import { Counter } from '../../src/buffer/counter.ts';
import { RowBuffer } from '../../src/buffer/row-buffer.ts';
import type { BufferConfig } from '../../src/config/bus-config.ts';
import { MemoryBufferLog } from '../../src/testing/memory-buffer-log.ts';
import { bufferConfig } from './buffer-config.ts';
import { FakeClock } from './fake-clock.ts';

/** What a database does with the next write. */
export type SinkFault = 'rolled-back' | 'lost-commit-answer' | 'busy';

/** A database in memory, with the one promise of the real one: rows and identities change together. */
export class MemorySink implements BufferSink {
  readonly rows = new Map<string, BufferValue>();
  readonly faults: SinkFault[] = [];
  readonly #kind: BufferConfig['kind'];
  readonly #flushed = new Map<number, FlushedWriters>();

  constructor(kind: BufferConfig['kind']) {
    this.#kind = kind;
  }

  async write(partition: number, plan: Parameters<BufferSink['write']>[1]): Promise<SinkAnswer> {
    const fault = this.faults.shift();
    if (fault === 'busy') return { kind: 'busy' };
    const made = plan(this.#flushed.get(partition) ?? new Map(), 1_000_000);
    if (made === undefined) return { kind: 'declined' };
    if (fault === 'rolled-back') throw new Error('rolled back');
    for (const [key, value] of made.rows) {
      const old = this.rows.get(key);
      this.rows.set(key, old === undefined || this.#kind === 'buffer' ? value : addUp(old, value));
    }
    this.#flushed.set(partition, made.flushed);
    if (fault === 'lost-commit-answer') throw new Error('no answer to COMMIT');
    return { kind: 'written', plan: made, refused: 0, unmatched: 0 };
  }
}

/** A buffer over memory, whose time a test moves. */
export class MemoryBuffer {
  readonly clock = new FakeClock();
  readonly config: BufferConfig;
  readonly log: MemoryBufferLog;
  readonly sink: MemorySink;
  readonly told: string[] = [];
  readonly flushes: FlushDone[] = [];
  depth: BufferDepth | undefined;
  readonly #opened: OpenBuffer[] = [];

  constructor(more: Partial<BufferConfig> = {}) {
    this.config = bufferConfig(more);
    this.log = new MemoryBufferLog(this.config, () => this.clock.nowMs());
    this.sink = new MemorySink(this.config.kind);
  }

  /** Another process. */
  open(writer = `w${this.#opened.length}`, canWriteThrough = true, flushLog?: MemoryBufferLog): OpenBuffer {
    const buffer = new OpenBuffer({
      config: this.config,
      log: this.log,
      ...(canWriteThrough ? { sink: this.sink } : {}),
      ...(flushLog === undefined ? {} : { flushLog }),
      clock: this.clock,
      random: () => 0.99,
      writer,
      observer: this.#observer,
    });
    this.#opened.push(buffer);
    return buffer;
  }

  counter(writer?: string): Counter<{ id: string | number }> {
    return new Counter(this.open(writer));
  }

  rowBuffer(writer?: string): RowBuffer<{ id: string }, { v: string }> {
    return new RowBuffer(this.open(writer));
  }

  flusher(): Flusher {
    return new Flusher({
      log: this.log,
      sink: this.sink,
      config: this.config,
      fold: foldOf(this.config.kind),
      clock: this.clock,
      random: () => 0.99,
      observer: this.#observer,
    });
  }

  async flush(): Promise<void> {
    await this.flusher().flush(new AbortController().signal);
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.splice(0).map((buffer) => buffer.drain(AbortSignal.abort())));
  }

  readonly #observer: BufferObserver = {
    depth: (depth) => (this.depth = depth),
    looked: () => undefined,
    behind: (what, is) => void this.told.push(`${what} ${is}`),
    flushed: (done) => void this.flushes.push(done),
    refused: (calls, error) => void this.told.push(`refused ${calls} ${(error as Error & { code?: string }).code}`),
    wroteThrough: (calls) => void this.told.push(`through ${calls}`),
    failed: (doing) => void this.told.push(`failed ${doing}`),
  };
}

/** Opens buffers for the tests of one file, and closes them all. */
export class MemoryBuffers {
  readonly #open: MemoryBuffer[] = [];

  open(more: Partial<BufferConfig> = {}): MemoryBuffer {
    const buffer = new MemoryBuffer({ partitions: 1, ...more });
    this.#open.push(buffer);
    return buffer;
  }

  async close(): Promise<void> {
    for (const buffer of this.#open.splice(0)) {
      buffer.log.faults.length = 0;
      await buffer.close();
    }
  }
}

/** What has become of a call by now. */
export function stateOf(promise: Promise<void>): { readonly is: string } {
  const state = { is: 'waiting' };
  promise.then(
    () => (state.is = 'acknowledged'),
    (error: unknown) => (state.is = (error as { code?: string }).code ?? 'failed'),
  );
  return state;
}
