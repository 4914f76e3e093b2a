import kafkajs from 'kafkajs';
import type { KafkaLogConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
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

  return {
    describe,
    settings,
    brokerCount: async () => (await ask(admin.describeCluster())).brokers.length,
    create: (settings = busTopicSettings(config)) =>
      ask(
        admin.createTopics({
          waitForLeaders: true,
          topics: [
            {
              topic,
              numPartitions: config.partitions,
              replicationFactor: config.replicationFactor,
              configEntries: Object.entries(settings).map(([name, value]) => ({ name, value })),
            },
          ],
        }),
      ),
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
