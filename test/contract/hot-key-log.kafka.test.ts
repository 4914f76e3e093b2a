import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import kafkajs from 'kafkajs';
import type { KafkaLogConfig } from '../../src/config/bus-config.ts';
import { createAdmin } from '../../src/drivers/kafka/admin.ts';
import { openKafkaHotKeyLog } from '../../src/drivers/kafka/hot-key-log.ts';
import { HOT_TOPIC_SETTINGS, hotTopicOf } from '../../src/drivers/kafka/hot-topic.ts';
import { hotBucketName } from '../../src/protocol/hot-key.ts';
import { type KafkaServer, startKafka } from '../../src/stack/kafka.ts';
import { describeHotKeyLog } from './hot-key-log-contract.ts';

let server: KafkaServer;
before(async () => {
  server = await startKafka();
});
after(async () => {
  await server?.stop();
});

const configOf = (topic: string): KafkaLogConfig => ({
  kind: 'kafka',
  brokers: server.brokers,
  topic,
  partitions: 6,
  replicationFactor: 1,
  retentionMs: 3_600_000,
  ssl: false,
});

describeHotKeyLog('hot keys in a compacted topic of Kafka', async () => {
  const config = configOf('contract');
  const admin = await createAdmin(hotTopicOf(config), 'test');
  await admin.create(HOT_TOPIC_SETTINGS);
  assert.equal((await admin.settings()).cleanupPolicy, 'compact');
  await admin.close();
  const kafka = new kafkajs.Kafka({ brokers: [...server.brokers], logLevel: kafkajs.logLevel.NOTHING });
  const producer = kafka.producer();
  await producer.connect();
  return {
    open: () => openKafkaHotKeyLog(config, 'test'),
    spoil: async (region, family, bucket) =>
      void (await producer.send({
        topic: 'contract.hot',
        messages: [
          {
            key: hotBucketName(region, { family, bucket }),
            value: `{"v":1,"r":"${region}","f":"${family}","b":${bucket},"a":"x"}`,
            partition: 0,
          },
        ],
      })),
    close: () => producer.disconnect(),
  };
});

test('without its topic there is no place for hot keys, and the error says who makes it', async () => {
  await assert.rejects(openKafkaHotKeyLog(configOf('never'), 'test'), { code: 'HOT_KEYS_MISSING' });
});
