import type { LogBounds, LogReader, RecordHandler } from '../../agent/from-log.ts';
import type { RedisStreamsLogConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import type { Offset } from '../../protocol/log-record.ts';
import { backoffMs } from '../../runtime/backoff.ts';
import { systemClock } from '../../runtime/clock.ts';
import { ask, connectRedis, type RedisConnection } from './connection.ts';
import { boundsOf, idOf, offsetOf, partitionsOf, streamKeys } from './streams.ts';

/** How long a read waits for records. A partition that is taken meanwhile waits as long. */
const READ_WAIT_MS = 100;
const READ_RECORDS_MAX = 500;
const NOTE_EVERY_MS = 1000;
const BACKOFF = { firstMs: 50, maxMs: 2000 };

type Reply = [stream: string, entries: [id: string, fields: string[]][]][] | null;

/** Opens a reader for a region. Throws `REDIS_UNREACHABLE`, `LOG_MISSING` or `LOG_UNFIT`. */
export async function openStreamsReader(
  bus: string,
  config: RedisStreamsLogConfig,
  region: string,
  handler: RecordHandler,
): Promise<LogReader> {
  const control = await connectRedis(config.url, { name: `afterwrite-${region}` });
  try {
    const partitions = await partitionsOf(control, bus, config);
    return new StreamsReader(control, bus, config, region, partitions, handler);
  } catch (error) {
    control.disconnect();
    throw error;
  }
}

class StreamsReader implements LogReader {
  readonly partitions: number;
  readonly ended: Promise<void>;
  readonly #bus: string;
  readonly #config: RedisStreamsLogConfig;
  readonly #region: string;
  readonly #handler: RecordHandler;
  readonly #next = new Map<number, Offset>();
  readonly #paused = new Set<number>();
  readonly #applied = new Map<number, Offset>();
  readonly #closing = new AbortController();
  /** Counts the calls of `take`: what was asked for before one is not delivered after it. */
  #takes = 0;
  #control: RedisConnection;
  #opening: Promise<void> | undefined;
  #notedAtMs = 0;

  constructor(
    control: RedisConnection,
    bus: string,
    config: RedisStreamsLogConfig,
    region: string,
    partitions: number,
    handler: RecordHandler,
  ) {
    this.#control = control;
    this.#bus = bus;
    this.#config = config;
    this.#region = region;
    this.#handler = handler;
    this.partitions = partitions;
    this.ended = this.#readForEver();
    this.ended.catch(() => undefined);
  }

  take(partition: number, from: Offset): Promise<void> {
    this.#takes += 1;
    this.#next.set(partition, from);
    this.#paused.delete(partition);
    return Promise.resolve();
  }

  release(partition: number): void {
    this.#next.delete(partition);
    this.#applied.delete(partition);
  }

  pause(partition: number): void {
    this.#paused.add(partition);
  }

  resume(partition: number): void {
    this.#paused.delete(partition);
  }

  applied(partition: number, offset: Offset): void {
    this.#applied.set(partition, offset);
  }

  async bounds(): Promise<readonly LogBounds[]> {
    // Many cells ask at once: one connection is opened for all of them.
    if (this.#control.status === 'end') {
      this.#opening ??= connectRedis(this.#config.url, { name: `afterwrite-${this.#region}` })
        .then((redis) => void (this.#control = redis))
        .finally(() => (this.#opening = undefined));
      await this.#opening;
    }
    const all = Array.from({ length: this.partitions }, (_, partition) =>
      boundsOf(this.#control, this.#bus, partition),
    );
    return Promise.all(all);
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.ended.catch(() => undefined);
    this.#control.disconnect();
  }

  async #readForEver(): Promise<void> {
    const { signal } = this.#closing;
    let failures = 0;
    while (!signal.aborted) {
      let redis: RedisConnection | undefined;
      try {
        redis = await connectRedis(this.#config.url, { name: `afterwrite-${this.#region}-log` });
        failures = 0;
        while (!signal.aborted) await this.#readOnce(redis);
      } catch (error) {
        if (!(error instanceof BusError) || error.retry === 'operator') throw error;
        failures += 1;
        await systemClock.sleep(backoffMs(failures, BACKOFF, Math.random), signal);
      } finally {
        redis?.disconnect();
      }
    }
  }

  async #readOnce(redis: RedisConnection): Promise<void> {
    await this.#noteApplied(redis);
    const { stream } = streamKeys(this.#bus);
    const asked = [...this.#next].filter(([partition]) => !this.#paused.has(partition));
    if (asked.length === 0) return systemClock.sleep(READ_WAIT_MS / 4, this.#closing.signal);
    const takes = this.#takes;
    const keys = asked.map(([partition]) => stream(partition));
    const ids = asked.map(([, next]) => idOf(next - 1));
    const command = redis.xread('COUNT', READ_RECORDS_MAX, 'BLOCK', READ_WAIT_MS, 'STREAMS', ...keys, ...ids);
    const reply: Reply = await ask(redis, 'the log', command);
    if (takes !== this.#takes) return;
    for (const [key, entries] of reply ?? []) this.#deliver(asked[keys.indexOf(key)]?.[0] ?? -1, entries);
  }

  #deliver(partition: number, entries: readonly [string, string[]][]): void {
    const last = entries.at(-1);
    if (last === undefined || !this.#next.has(partition)) return;
    this.#next.set(partition, offsetOf(last[0]) + 1);
    this.#handler(
      partition,
      entries.map(([id, fields]) => ({ offset: offsetOf(id), value: fields[1] ?? '' })),
    );
  }

  async #noteApplied(redis: RedisConnection): Promise<void> {
    const nowMs = performance.now();
    if (this.#applied.size === 0 || nowMs - this.#notedAtMs < NOTE_EVERY_MS) return;
    this.#notedAtMs = nowMs;
    const { positions } = streamKeys(this.#bus);
    const fields = [...this.#applied].flatMap(([partition, offset]) => [
      `${this.#region}:${partition}`,
      String(offset),
    ]);
    await ask(redis, positions, redis.hset(positions, ...fields));
  }
}
