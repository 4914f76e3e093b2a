import { randomUUID } from 'node:crypto';
import type { Consumer, EachBatchPayload } from 'kafkajs';
import type { IncomingRecord, LogBounds, LogReader, RecordHandler } from '../../agent/from-log.ts';
import type { KafkaLogConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import type { Offset } from '../../protocol/log-record.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createAdmin, type KafkaAdmin } from './admin.ts';
import { createClient, kafkaError } from './client.ts';

/** How long a fetch waits at the broker when there is nothing. A partition that is taken meanwhile waits as long. */
const FETCH_WAIT_MS = 100;
const PARTITION_BYTES_MAX = 1 << 20;
const CLOSE_TIMEOUT_MS = 3000;
const START_TIMEOUT_MS = 30_000;

/**
 * Reads the topic as a group of one, under a new id each time, with every partition assigned and those that are not taken paused: so no
 * rebalance ever stops a region (a kafkajs group takes 3 to 5 s a step). Nothing is committed to Kafka.
 */
export async function openKafkaReader(
  config: KafkaLogConfig,
  clientId: string,
  handler: RecordHandler,
): Promise<LogReader> {
  const admin = await createAdmin(config, clientId);
  try {
    const { partitions } = await admin.describe();
    const reader = new KafkaReader(config, clientId, admin, partitions, handler);
    await reader.start();
    return reader;
  } catch (error) {
    await admin.close();
    throw error;
  }
}

class KafkaReader implements LogReader {
  readonly partitions: number;
  readonly #topic: string;
  readonly #groupId: string;
  readonly #admin: KafkaAdmin;
  readonly #consumer: Consumer;
  readonly #handler: RecordHandler;
  /** What is delivered next of each partition that is taken. */
  readonly #next = new Map<number, Offset>();
  readonly #ended = Promise.withResolvers<void>();
  #isClosing = false;

  constructor(config: KafkaLogConfig, clientId: string, admin: KafkaAdmin, partitions: number, handler: RecordHandler) {
    this.partitions = partitions;
    this.#topic = config.topic;
    this.#admin = admin;
    this.#handler = handler;
    this.#groupId = `afterwrite-reader-${randomUUID()}`;
    this.#consumer = createClient(config, clientId, 'patient').consumer({
      groupId: this.#groupId,
      maxWaitTimeInMs: FETCH_WAIT_MS,
      minBytes: 1,
      maxBytesPerPartition: PARTITION_BYTES_MAX,
    });
    this.#ended.promise.catch(() => undefined);
  }

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  async start(): Promise<void> {
    const joined = Promise.withResolvers<void>();
    const { GROUP_JOIN, CRASH } = this.#consumer.events;
    this.#consumer.on(GROUP_JOIN, () => {
      this.#pauseUntaken();
      joined.resolve();
    });
    this.#consumer.on(CRASH, ({ payload }) => {
      // A coordinator that loads, or a broker that is away: kafkajs begins anew by itself.
      if (payload.restart) return;
      const error = kafkaError(payload.error, 'KAFKA_CONSUMER_CRASHED', this.#topic);
      joined.reject(error);
      this.#ended.reject(error);
    });
    const timer = setTimeout(
      () => joined.reject(new BusError('KAFKA_UNREACHABLE', `No group could be joined within ${START_TIMEOUT_MS} ms.`)),
      START_TIMEOUT_MS,
    );
    try {
      await this.#consumer.connect();
      await this.#consumer.subscribe({ topics: [this.#topic], fromBeginning: true });
      await this.#consumer.run({
        autoCommit: false,
        eachBatchAutoResolve: false,
        partitionsConsumedConcurrently: this.partitions,
        eachBatch: (payload) => {
          this.#deliver(payload);
          return Promise.resolve();
        },
      });
      await joined.promise;
    } catch (error) {
      await this.close();
      throw kafkaError(error, 'KAFKA_UNREACHABLE', this.#topic);
    } finally {
      clearTimeout(timer);
    }
  }

  take(partition: number, from: Offset): Promise<void> {
    this.#next.set(partition, from);
    this.#consumer.seek({ topic: this.#topic, partition, offset: String(from) });
    this.resume(partition);
    return Promise.resolve();
  }

  release(partition: number): void {
    this.#next.delete(partition);
    this.pause(partition);
  }

  pause(partition: number): void {
    this.#consumer.pause([{ topic: this.#topic, partitions: [partition] }]);
  }

  resume(partition: number): void {
    this.#consumer.resume([{ topic: this.#topic, partitions: [partition] }]);
  }

  applied(): void {}

  bounds(): Promise<readonly LogBounds[]> {
    return this.#admin.bounds();
  }

  async close(): Promise<void> {
    if (this.#isClosing) return;
    this.#isClosing = true;
    // Leaving is a courtesy; brokers that are away must not keep the process.
    const leave = async (): Promise<void> => {
      await this.#consumer.disconnect();
      await this.#admin.forgetGroup(this.#groupId);
      await this.#admin.close();
    };
    const late = new AbortController();
    await Promise.race([leave().catch(() => undefined), systemClock.sleep(CLOSE_TIMEOUT_MS, late.signal)]);
    late.abort();
    this.#ended.resolve();
  }

  #pauseUntaken(): void {
    const untaken = Array.from({ length: this.partitions }, (_, partition) => partition).filter(
      (partition) => !this.#next.has(partition),
    );
    if (untaken.length > 0) this.#consumer.pause([{ topic: this.#topic, partitions: untaken }]);
    // After a member was forgotten by the broker, the consumer begins anew at the log's start.
    for (const [partition, offset] of this.#next)
      this.#consumer.seek({ topic: this.#topic, partition, offset: String(offset) });
  }

  /** Hands over, and never throws: an error here would stop the consumer for good. */
  #deliver({ batch, isStale, resolveOffset }: EachBatchPayload): void {
    const next = this.#next.get(batch.partition);
    // Fetched for an earlier place, or for a partition that is no longer taken.
    if (next === undefined || isStale()) return;
    const records = batch.messages.flatMap((message): IncomingRecord[] => {
      const offset = Number(message.offset);
      return offset < next ? [] : [{ offset, value: message.value?.toString('utf8') ?? '' }];
    });
    const last = records.at(-1);
    if (last === undefined) {
      // Out of range, kafkajs goes to the log's start by itself.
      this.#consumer.seek({ topic: this.#topic, partition: batch.partition, offset: String(next) });
      return;
    }
    this.#next.set(batch.partition, last.offset + 1);
    resolveOffset(batch.lastOffset());
    this.#handler(batch.partition, records);
  }
}
