import assert from 'node:assert/strict';
import { test } from 'node:test';
import kafkajs from 'kafkajs';
import { createAdmin } from '../../src/drivers/kafka/admin.ts';
import { openKafkaWriter, requireEvery } from '../../src/drivers/kafka/writer.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { startKafka } from '../../src/stack/kafka.ts';
import { eventually } from '../support/eventually.ts';

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
  // The deletion goes on for a while behind its answer, and the new topic's leaders come later still.
  await eventually('the topic is there anew', async () => {
    const topic = { topic: 'shrunk', numPartitions: 3, replicationFactor: 1 };
    await raw.createTopics({ topics: [topic], waitForLeaders: false }).catch(() => undefined);
    const seen = await raw.fetchTopicMetadata({ topics: ['shrunk'] }).catch(() => undefined);
    const partitions = seen?.topics[0]?.partitions ?? [];
    return partitions.length === 3 && partitions.every(({ leader }) => leader >= 0);
  });
  // Either the broker says that it has no such partition, or kafkajs has heard of the new topic and leaves the record out.
  await assert.rejects(
    writer.send([0, 5].map((partition) => ({ partition, value: String(partition) }))),
    (error) => isBusError(error) && error.code.startsWith('KAFKA_'),
  );
});

test('a send whose answer lacks a partition is taken for failed', () => {
  const records = [0, 5, 5].map((partition) => ({ partition, value: '' }));
  requireEvery(records, [{ partition: 5 }, { partition: 0 }]);
  assert.throws(
    () => requireEvery(records, [{ partition: 0 }]),
    (error) => isBusError(error, 'KAFKA_SEND_FAILED') && /Partition 5/.test(error.message),
  );
});
