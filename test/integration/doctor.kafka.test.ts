import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import kafkajs from 'kafkajs';
import { examine } from '../../src/cli/doctor/examine.ts';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import type { KafkaLogConfig } from '../../src/config/bus-config.ts';
import { createAdmin, type KafkaAdmin } from '../../src/drivers/kafka/admin.ts';
import { createClient } from '../../src/drivers/kafka/client.ts';
import { HOT_TOPIC_SETTINGS, hotTopicOf } from '../../src/drivers/kafka/hot-topic.ts';
import { type KafkaServer, startKafka } from '../../src/stack/kafka.ts';
import { busConfig, USER } from '../support/bus-config.ts';

const HOUR_MS = 3_600_000;
let kafka: KafkaServer;
let admin: KafkaAdmin;
let hotAdmin: KafkaAdmin;
let log: KafkaLogConfig;

before(async () => {
  kafka = await startKafka();
  log = {
    kind: 'kafka',
    brokers: kafka.brokers,
    topic: 'afterwrite.shop',
    partitions: 4,
    replicationFactor: 1,
    retentionMs: 72 * HOUR_MS,
    ssl: false,
  };
  admin = await createAdmin(log, 'test');
  hotAdmin = await createAdmin(hotTopicOf(log), 'test');
});

after(async () => {
  await admin.close();
  await hotAdmin.close();
  await kafka.stop();
});

/** What is said of the log; the database and the region of this file are not there. */
async function ofLog(change: Partial<KafkaLogConfig> = {}): Promise<string[]> {
  const findings: Finding[] = await examine(busConfig([USER], [], { log: { ...log, ...change } }));
  return findings
    .filter(({ subject, level }) => level !== 'ok' && (subject === 'log' || subject.startsWith('topic')))
    .map(({ level, message }) => `${level} ${message.split(/[:;]/)[0]}`);
}

function setTopic(...settings: readonly (readonly [name: string, value: string])[]): Promise<void> {
  return setTopicNamed(log.topic, ...settings);
}

async function setTopicNamed(
  topic: string,
  ...settings: readonly (readonly [name: string, value: string])[]
): Promise<void> {
  const client = createClient(log, 'test').admin();
  await client.connect();
  const configEntries = settings.map(([name, value]) => ({ name, value }));
  const type = kafkajs.ConfigResourceTypes.TOPIC;
  await client.alterConfigs({ validateOnly: false, resources: [{ type, name: topic, configEntries }] });
  await client.disconnect();
}

/** One broker has one copy. */
const ONE_COPY = 'warn has one copy';

test('a topic that is not there fails, and is not made by looking for it', async () => {
  assert.deepEqual(await ofLog(), ['fail KAFKA_TOPIC_MISSING (afterwrite.shop)']);
  assert.deepEqual(await ofLog(), ['fail KAFKA_TOPIC_MISSING (afterwrite.shop)']);
});

test('the topic that setup makes is well but for its one copy; another number of partitions fails', async () => {
  await admin.create();
  assert.deepEqual(await ofLog(), [ONE_COPY, 'warn does not exist'], 'that of hot keys is not there yet');
  await hotAdmin.create(HOT_TOPIC_SETTINGS);
  assert.deepEqual(await ofLog(), [ONE_COPY]);
  assert.deepEqual(await ofLog({ partitions: 12 }), ['fail has 4 partitions, the file says 12', ONE_COPY]);
});

test('a topic with compaction fails, and a short retention is warned of', async () => {
  await setTopic(['cleanup.policy', 'compact,delete'], ['retention.ms', String(HOUR_MS)]);
  assert.deepEqual(await ofLog(), [
    'fail cleanup.policy is compact,delete',
    'warn records are kept 1 h, the file says 72 h',
    ONE_COPY,
  ]);
});

test('a topic of hot keys that is not compacted fails', async () => {
  await setTopic(['cleanup.policy', 'delete'], ['retention.ms', String(72 * HOUR_MS)]);
  await setTopicNamed(hotTopicOf(log).topic, ['cleanup.policy', 'delete']);
  assert.deepEqual(await ofLog(), [ONE_COPY, 'fail cleanup.policy is delete']);
});

test('brokers that do not answer fail by their code', async () => {
  assert.match((await ofLog({ brokers: ['127.0.0.1:1'] })).join(), /^fail KAFKA_UNREACHABLE/);
});
