import type { Producer, RecordMetadata } from 'kafkajs';
import type { KafkaLogConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import type { LogWriter, OutgoingRecord } from '../../relay/to-log.ts';
import { createAdmin } from './admin.ts';
import { createClient, kafkaError } from './client.ts';
import { openKafkaReader } from './reader.ts';

const LAST_RECORDS_TIMEOUT_MS = 15_000;
const ALL_REPLICAS = -1;

/** Opens a writer on the topic. Throws `KAFKA_UNREACHABLE`, `KAFKA_TOPIC_MISSING` or `KAFKA_DENIED`. */
export async function openKafkaWriter(config: KafkaLogConfig, clientId: string): Promise<LogWriter> {
  const admin = await createAdmin(config, clientId);
  let partitions: number;
  try {
    ({ partitions } = await admin.describe());
  } finally {
    await admin.close();
  }
  if (partitions !== config.partitions) {
    throw new BusError(
      'KAFKA_TOPIC_UNFIT',
      `The topic has ${partitions} partitions and the file says ${config.partitions}. The count is fixed for a bus's life.`,
      { at: config.topic },
    );
  }
  // Explicit partitions, no idempotence: order comes from one send at a time, and repetition is harmless.
  const producer = createClient(config, clientId).producer({
    allowAutoTopicCreation: false,
    idempotent: false,
    maxInFlightRequests: 1,
  });
  try {
    await producer.connect();
  } catch (error) {
    throw kafkaError(error, 'KAFKA_UNREACHABLE', config.brokers.join(', '));
  }
  return new KafkaWriter(config, clientId, producer, partitions);
}

class KafkaWriter implements LogWriter {
  readonly partitions: number;
  readonly #config: KafkaLogConfig;
  readonly #clientId: string;
  readonly #producer: Producer;
  #state: 'idle' | 'sending' | 'dead' = 'idle';

  constructor(config: KafkaLogConfig, clientId: string, producer: Producer, partitions: number) {
    this.#config = config;
    this.#clientId = clientId;
    this.#producer = producer;
    this.partitions = partitions;
  }

  async lastRecords(signal: AbortSignal): Promise<readonly (string | null)[]> {
    const last: (string | null)[] = Array.from({ length: this.partitions }, () => null);
    const missing = new Set<number>();
    const found = Promise.withResolvers<void>();
    found.promise.catch(() => undefined);
    const reader = await openKafkaReader(this.#config, this.#clientId, (partition, records) => {
      last[partition] = records.at(-1)?.value ?? null;
      missing.delete(partition);
      if (missing.size === 0) found.resolve();
    });
    const giveUp = (why: string) => (): void =>
      found.reject(new BusError('KAFKA_UNREACHABLE', why, { at: this.#config.topic }));
    const timer = setTimeout(
      giveUp(`The last records could not be read within ${LAST_RECORDS_TIMEOUT_MS} ms.`),
      LAST_RECORDS_TIMEOUT_MS,
    );
    signal.addEventListener('abort', giveUp('The process is ending.'), { once: true });
    try {
      const bounds = await reader.bounds();
      bounds.forEach(({ first, next }, partition) => next > first && missing.add(partition));
      await Promise.all([...missing].map((partition) => reader.take(partition, (bounds[partition]?.next ?? 1) - 1)));
      if (missing.size > 0) await found.promise;
      return last;
    } finally {
      clearTimeout(timer);
      await reader.close();
    }
  }

  async send(records: readonly OutgoingRecord[]): Promise<void> {
    if (this.#state !== 'idle')
      throw new Error(`The writer is ${this.#state}: one send at a time, and none after a failure.`);
    this.#state = 'sending';
    const messages = records.map(({ partition, value }) => ({ partition, value }));
    try {
      const topicMessages = [{ topic: this.#config.topic, messages }];
      const answered = await this.#producer.sendBatch({ acks: ALL_REPLICAS, topicMessages });
      requireEvery(records, answered);
      this.#state = 'idle';
    } catch (error) {
      this.#state = 'dead';
      throw kafkaError(error, 'KAFKA_SEND_FAILED', this.#config.topic);
    }
  }

  async close(): Promise<void> {
    this.#state = 'dead';
    await this.#producer.disconnect().catch(() => undefined);
  }
}

/** kafkajs leaves out, without a word, what goes to a partition that its metadata lacks: so after a topic was made anew with fewer. */
export function requireEvery(
  records: readonly OutgoingRecord[],
  answered: readonly Pick<RecordMetadata, 'partition'>[],
): void {
  const written = new Set(answered.map(({ partition }) => partition));
  const missing = records.find(({ partition }) => !written.has(partition));
  if (missing !== undefined)
    throw new BusError('KAFKA_SEND_FAILED', `Partition ${missing.partition} is not in the brokers' answer.`);
}
