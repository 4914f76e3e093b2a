import kafkajs from 'kafkajs';
import type { KafkaLogConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createClient, kafkaError } from './client.ts';

export interface TopicFacts {
  readonly partitions: number;
  readonly replicationFactor: number;
}

export interface TopicSettings {
  readonly cleanupPolicy: string;
  /** -1 is for ever. */
  readonly retentionMs: number;
  readonly minInsyncReplicas: number;
}

export interface KafkaAdmin {
  /** Throws `KAFKA_TOPIC_MISSING`. */
  describe(): Promise<TopicFacts>;
  settings(): Promise<TopicSettings>;
  brokerCount(): Promise<number>;
  /** Creates the topic with these settings, by default as the bus needs it. Returns false where it exists. */
  create(settings?: Readonly<Record<string, string>>): Promise<boolean>;
  /** Deletes the topic. */
  remove(): Promise<void>;
  /** The offsets that each partition holds now. */
  bounds(): Promise<readonly { readonly first: number; readonly next: number }[]>;
  /** Removes what the broker remembers of a reader's group; a failure is not worth a word. */
  forgetGroup(groupId: string): Promise<void>;
  close(): Promise<void>;
}

/** What a broker says of a topic that was made a moment ago, as Kafka's protocol guide names it ("Error Codes"). */
const NOT_LED_YET = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE']);
const LED_EVERY_MS = 100;
const LED_TIMEOUT_MS = 10_000;

/** Compaction would hide gaps. */
function busTopicSettings({ retentionMs }: KafkaLogConfig): Readonly<Record<string, string>> {
  return { 'cleanup.policy': 'delete', 'retention.ms': String(retentionMs) };
}

/** Connects to the brokers' administration. Throws `KAFKA_UNREACHABLE` or `KAFKA_DENIED`. */
export async function createAdmin(config: KafkaLogConfig, clientId: string): Promise<KafkaAdmin> {
  const { topic } = config;
  const admin = createClient(config, clientId).admin();
  const ask = async <T>(question: Promise<T>): Promise<T> => {
    try {
      return await question;
    } catch (error) {
      throw kafkaError(error, 'KAFKA_UNREACHABLE', topic);
    }
  };
  await ask(admin.connect());

  async function describe(): Promise<TopicFacts> {
    const { topics } = await ask(admin.fetchTopicMetadata({ topics: [topic] }));
    const partitions = topics[0]?.partitions ?? [];
    if (partitions.length === 0)
      throw new BusError('KAFKA_TOPIC_MISSING', `The topic ${topic} does not exist.`, { at: topic });
    return {
      partitions: partitions.length,
      replicationFactor: Math.min(...partitions.map((partition) => partition.replicas.length)),
    };
  }

  async function settings(): Promise<TopicSettings> {
    const { resources } = await ask(
      admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic }],
      }),
    );
    const value = (name: string): string =>
      resources[0]?.configEntries.find((entry) => entry.configName === name)?.configValue ?? '';
    return {
      cleanupPolicy: value('cleanup.policy'),
      retentionMs: Number(value('retention.ms')),
      minInsyncReplicas: Number(value('min.insync.replicas')),
    };
  }

  /** By itself kafkajs waits for leaders alone, and fails of a broker that has not heard yet of what the controller has made. */
  async function untilLed(): Promise<void> {
    for (let waitedMs = 0; ; waitedMs += LED_EVERY_MS) {
      try {
        await admin.fetchTopicMetadata({ topics: [topic] });
        return;
      } catch (error) {
        const type = error instanceof kafkajs.KafkaJSProtocolError ? error.type : '';
        if (!NOT_LED_YET.has(type) || waitedMs >= LED_TIMEOUT_MS) throw error;
      }
      await systemClock.sleep(LED_EVERY_MS, new AbortController().signal);
    }
  }

  return {
    describe,
    settings,
    brokerCount: async () => (await ask(admin.describeCluster())).brokers.length,
    create: async (settings = busTopicSettings(config)) => {
      const isNew = await ask(
        admin.createTopics({
          waitForLeaders: false,
          topics: [
            {
              topic,
              numPartitions: config.partitions,
              replicationFactor: config.replicationFactor,
              configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
            },
          ],
        }),
      );
      await ask(untilLed());
      return isNew;
    },
    remove: () => ask(admin.deleteTopics({ topics: [topic] })),
    bounds: async () => {
      const offsets = await ask(admin.fetchTopicOffsets(topic));
      return offsets
        .toSorted((a, b) => a.partition - b.partition)
        .map(({ low, high }) => ({ first: Number(low), next: Number(high) }));
    },
    forgetGroup: async (groupId) => {
      await admin.deleteGroups([groupId]).catch(() => undefined);
    },
    close: () => admin.disconnect().catch(() => undefined),
  };
}
