import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { createAdmin } from '../../src/drivers/kafka/admin.ts';
import { openKafkaWriter } from '../../src/drivers/kafka/writer.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { startKafka } from '../../src/stack/kafka.ts';

test('a send is refused where the topic was made anew with fewer partitions, of which kafkajs says nothing', async (t) => {
  const server = await startKafka();
  t.after(() => server.stop());
  const config = {
    kind: 'kafka' as const,
    brokers: server.brokers,
    topic: 'shrunk',
    partitions: 6,
    replicationFactor: 1,
    retentionMs: 3_600_000,
    ssl: false,
  };
  const admin = await createAdmin(config, 'test');
  await admin.create();
  await admin.close();
  const writer = await openKafkaWriter(config, 'test-writer');
  t.after(() => writer.close());
  const raw = new kafkajs.Kafka({ brokers: [...server.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await raw.connect();
  t.after(() => raw.disconnect());
  await raw.deleteTopics({ topics: ['shrunk'] });
  await raw.createTopics({
    topics: [{ topic: 'shrunk', numPartitions: 3, replicationFactor: 1 }],
    waitForLeaders: true,
  });
  const records = [0, 5].map((partition) => ({ partition, value: String(partition) }));
  await assert.rejects(
    writer.send(records),
    (error) => isBusError(error, 'KAFKA_SEND_FAILED') && /Partition 5/.test(error.message),
  );
});
