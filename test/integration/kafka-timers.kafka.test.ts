import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { createAdmin } from '../../src/drivers/kafka/admin.ts';
import { openKafkaWriter } from '../../src/drivers/kafka/writer.ts';
import { type KafkaServer, startKafka } from '../../src/stack/kafka.ts';

let server: KafkaServer;

before(async () => {
  server = await startKafka();
});

after(() => server?.stop());

test('an idle connection to Kafka arms no timers, where kafkajs by itself arms one a millisecond', async () => {
  const config = {
    kind: 'kafka' as const,
    brokers: server.brokers,
    topic: 'idle',
    partitions: 1,
    replicationFactor: 1,
    retentionMs: 3_600_000,
    ssl: false,
  };
  const admin = await createAdmin(config, 'test');
  await admin.create();
  const writer = await openKafkaWriter(config, 'test');
  await writer.send([{ partition: 0, value: 'x' }]);
  const original = globalThis.setTimeout;
  let armed = 0;
  globalThis.setTimeout = Object.assign((...args: Parameters<typeof original>) => {
    armed += 1;
    return original(...args);
  }, original);
  try {
    await sleep(500);
  } finally {
    globalThis.setTimeout = original;
  }
  assert.ok(armed < 10, `${armed} timers in half a second`);
  await writer.close();
  await admin.close();
});
