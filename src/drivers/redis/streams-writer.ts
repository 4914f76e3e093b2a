import type { RedisStreamsLogConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import type { LogWriter, OutgoingRecord } from '../../relay/to-log.ts';
import { ask, connectRedis, type RedisConnection } from './connection.ts';
import { type Durability, durabilityOf, idOf, partitionsOf, STREAM_FIELD, streamKeys } from './streams.ts';
import { lowestApplied, TrimMargin } from './trim-margin.ts';

const TRIM_EVERY_MS = 5000;
const WAITAOF_TIMEOUT_MS = 5000;

/** Opens a writer on the streams, which are trimmed by what these regions have applied. Throws `REDIS_UNREACHABLE`, `LOG_MISSING`, `LOG_UNFIT` or `LOG_NOT_DURABLE`. */
export async function openStreamsWriter(
  bus: string,
  config: RedisStreamsLogConfig,
  regions: ReadonlySet<string>,
  name: string,
): Promise<LogWriter> {
  const redis = await connectRedis(config.url, { name });
  try {
    const partitions = await partitionsOf(redis, bus, config);
    return new StreamsWriter(redis, bus, config, regions, partitions, await durabilityOf(redis));
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}

class StreamsWriter implements LogWriter {
  readonly partitions: number;
  readonly #redis: RedisConnection;
  readonly #bus: string;
  readonly #recordsMax: number;
  readonly #regions: ReadonlySet<string>;
  readonly #durability: Durability;
  #state: 'idle' | 'sending' | 'dead' = 'idle';
  #trimmedAtMs = 0;
  readonly #margin = new TrimMargin();

  constructor(
    redis: RedisConnection,
    bus: string,
    config: RedisStreamsLogConfig,
    regions: ReadonlySet<string>,
    partitions: number,
    durability: Durability,
  ) {
    this.#redis = redis;
    this.#bus = bus;
    this.#recordsMax = config.recordsMax;
    this.#regions = regions;
    this.#durability = durability;
    this.partitions = partitions;
  }

  async lastRecords(): Promise<readonly (string | null)[]> {
    const keys = Array.from({ length: this.partitions }, (_, partition) => streamKeys(this.#bus).stream(partition));
    const last = await Promise.all(
      keys.map((key) => ask(this.#redis, key, this.#redis.xrevrange(key, '+', '-', 'COUNT', 1))),
    );
    return last.map((entries) => entries[0]?.[1][1] ?? null);
  }

  async send(records: readonly OutgoingRecord[]): Promise<void> {
    if (this.#state !== 'idle')
      throw new Error(`The writer is ${this.#state}: one send at a time, and none after a failure.`);
    this.#state = 'sending';
    try {
      const { stream } = streamKeys(this.#bus);
      // Sent in one go on one connection: the server takes them in this order.
      const adds = records.map(({ partition, value }) =>
        this.#redis.xadd(stream(partition), '0-*', STREAM_FIELD, value),
      );
      await ask(this.#redis, streamKeys(this.#bus).meta, Promise.all(adds));
      if (this.#durability === 'waitaof') await this.#waitForFile();
      await this.#trimNowAndThen();
      this.#state = 'idle';
    } catch (error) {
      this.#state = 'dead';
      throw error;
    }
  }

  async close(): Promise<void> {
    this.#state = 'dead';
    this.#redis.disconnect();
  }

  async #waitForFile(): Promise<void> {
    const at = streamKeys(this.#bus).meta;
    const answer = (await ask(this.#redis, at, this.#redis.call('WAITAOF', 1, 0, WAITAOF_TIMEOUT_MS))) as [
      number,
      number,
    ];
    if (answer[0] < 1)
      throw new BusError('REDIS_UNREACHABLE', `The append-only file was not written within ${WAITAOF_TIMEOUT_MS} ms.`, {
        at,
      });
  }

  /** What every region has applied a while ago may go, but its last record; beyond the hard cap, anything: a region that is behind it has a gap. */
  async #trimNowAndThen(): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#trimmedAtMs < TRIM_EVERY_MS) return;
    this.#trimmedAtMs = nowMs;
    const { stream, positions } = streamKeys(this.#bus);
    const trimTo = this.#margin.note(
      nowMs,
      lowestApplied(await ask(this.#redis, positions, this.#redis.hgetall(positions)), this.#regions),
    );
    for (let partition = 0; partition < this.partitions; partition++) {
      const key = stream(partition);
      const offset = trimTo?.get(partition);
      if (offset !== undefined) await ask(this.#redis, key, this.#redis.xtrim(key, 'MINID', '~', idOf(offset)));
      await ask(this.#redis, key, this.#redis.xtrim(key, 'MAXLEN', '~', this.#recordsMax));
    }
  }
}
