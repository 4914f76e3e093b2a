import kafkajs, { type Producer } from 'kafkajs';
import type { KafkaLogConfig } from '../../config/bus-config.ts';
import { BusError, isBusError } from '../../protocol/errors.ts';
import {
  decodeHotBucket,
  encodeHotBucket,
  type HotBucket,
  hotBucketName,
  type HotKeyLog,
} from '../../protocol/hot-key.ts';
import { createAdmin } from './admin.ts';
import { createClient, kafkaError } from './client.ts';
import { openKafkaReader } from './reader.ts';
import { hotTopicOf } from './hot-topic.ts';

const READ_TIMEOUT_MS = 60_000;
const ALL_REPLICAS = -1;
/** Of one send, records, and bytes of a partition before they are compressed: those are one batch, and a broker by default refuses more than a mebibyte. */
const SEND_RECORDS_MAX = 64;
const BATCH_BYTES_MAX = 900 * 1024;

/** Opens the topic of hot keys. Throws `KAFKA_UNREACHABLE`, `KAFKA_DENIED`, or `HOT_KEYS_MISSING` where it does not exist. */
export async function openKafkaHotKeyLog(config: KafkaLogConfig, clientId: string): Promise<HotKeyLog> {
  const topic = hotTopicOf(config);
  const admin = await createAdmin(topic, clientId);
  let partitions: number;
  try {
    ({ partitions } = await admin.describe());
  } catch (error) {
    if (!isBusError(error, 'KAFKA_TOPIC_MISSING')) throw error;
    throw new BusError('HOT_KEYS_MISSING', `The topic ${topic.topic} does not exist.`, {
      at: topic.topic,
      cause: error,
    });
  } finally {
    await admin.close();
  }
  const producer = createClient(topic, clientId).producer({ allowAutoTopicCreation: false, idempotent: false });
  try {
    await producer.connect();
  } catch (error) {
    throw kafkaError(error, 'KAFKA_UNREACHABLE', topic.topic);
  }
  return new KafkaHotKeyLog({ ...topic, partitions }, clientId, producer);
}

interface HotMessage {
  readonly key: string;
  readonly value: string;
  readonly partition: number;
}

class KafkaHotKeyLog implements HotKeyLog {
  readonly #config: KafkaLogConfig;
  readonly #clientId: string;
  readonly #producer: Producer;

  constructor(config: KafkaLogConfig, clientId: string, producer: Producer) {
    this.#config = config;
    this.#clientId = clientId;
    this.#producer = producer;
  }

  async write(region: string, buckets: readonly HotBucket[]): Promise<void> {
    let messages: HotMessage[] = [];
    let bytesOf = new Map<number, number>();
    const send = async (): Promise<void> => {
      if (messages.length > 0) await this.#send(messages);
      messages = [];
      bytesOf = new Map();
    };
    for (const bucket of buckets) {
      const value = encodeHotBucket(region, bucket);
      const partition = bucket.bucket % this.#config.partitions;
      const bytes = Buffer.byteLength(value);
      if (messages.length === SEND_RECORDS_MAX || (bytesOf.get(partition) ?? 0) + bytes > BATCH_BYTES_MAX) await send();
      messages.push({ key: hotBucketName(region, bucket), value, partition });
      bytesOf.set(partition, (bytesOf.get(partition) ?? 0) + bytes);
    }
    await send();
  }

  async *read(region: string, skipped: (error: BusError) => void): AsyncIterable<HotBucket> {
    for (const [at, text] of await this.#newest(region)) {
      try {
        yield decodeHotBucket(text, at);
      } catch (error) {
        if (!isBusError(error, 'HOT_KEYS_INVALID')) throw error;
        skipped(error);
      }
    }
  }

  async close(): Promise<void> {
    await this.#producer.disconnect().catch(() => undefined);
  }

  async #send(messages: HotMessage[]): Promise<void> {
    const { topic } = this.#config;
    try {
      await this.#producer.send({ topic, messages, acks: ALL_REPLICAS, compression: kafkajs.CompressionTypes.GZIP });
    } catch (error) {
      throw kafkaError(error, 'KAFKA_SEND_FAILED', topic);
    }
  }

  /** Reads the topic up to what was its end at the beginning. Of each bucket's texts the last is kept: compaction leaves more than that. */
  async #newest(region: string): Promise<ReadonlyMap<string, string>> {
    const { topic } = this.#config;
    const texts = new Map<string, string>();
    const missing = new Map<number, number>();
    const done = Promise.withResolvers<void>();
    done.promise.catch(() => undefined);
    const reader = await openKafkaReader(this.#config, this.#clientId, (partition, records) => {
      for (const { offset, value } of records) {
        const name = nameIn(value) ?? `${region}/?/${partition}-${offset}`;
        if (name.startsWith(`${region}/`)) texts.set(name, value);
      }
      if ((records.at(-1)?.offset ?? -1) >= (missing.get(partition) ?? Number.POSITIVE_INFINITY))
        missing.delete(partition);
      if (missing.size === 0) done.resolve();
    });
    reader.ended.catch(done.reject);
    const timer = setTimeout(
      () => done.reject(new BusError('KAFKA_UNREACHABLE', 'The hot keys could not be read in time.', { at: topic })),
      READ_TIMEOUT_MS,
    );
    try {
      const bounds = await reader.bounds();
      bounds.forEach(({ first, next }, partition) => next > first && missing.set(partition, next - 1));
      await Promise.all([...missing.keys()].map((partition) => reader.take(partition, bounds[partition]?.first ?? 0)));
      if (missing.size > 0) await done.promise;
      return texts;
    } finally {
      clearTimeout(timer);
      await reader.close();
    }
  }
}

/** The bucket's name from the beginning of its text, so that what is superseded need not be read whole. */
const HEAD = /^\{"v":1,"r":"([^"\\]+)","f":"([^"\\]+)","b":(\d+),/;

function nameIn(text: string): string | undefined {
  const head = HEAD.exec(text);
  return head === null
    ? undefined
    : hotBucketName(head[1] ?? '', { family: head[2] ?? '', bucket: Number(head[3] ?? 0) });
}
