import kafkajs from 'kafkajs';
import { createAdmin } from '../../src/drivers/kafka/admin.ts';
import { openKafkaReader } from '../../src/drivers/kafka/reader.ts';
import { openKafkaWriter } from '../../src/drivers/kafka/writer.ts';
import { startKafka } from '../../src/stack/kafka.ts';
import { eventually } from '../support/eventually.ts';
import { describeLog } from './log-contract.ts';
import { stopProcess } from '../support/stop-process.ts';

describeLog('a log in Kafka', async () => {
  const server = await startKafka();
  const config = {
    kind: 'kafka' as const,
    brokers: server.brokers,
    topic: 'contract',
    partitions: 6,
    replicationFactor: 1,
    retentionMs: 3_600_000,
    ssl: false,
  };
  const admin = await createAdmin(config, 'test');
  await admin.create();
  await admin.close();
  const raw = new kafkajs.Kafka({ brokers: [...server.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin();
  await raw.connect();
  // Deleting records wants to know the leaders, which a topic may not have as soon as it is made.
  await eventually('the leaders are known', () => raw.fetchTopicOffsets('contract').catch(() => undefined), 60_000);
  return {
    partitions: 6,
    openWriter: () => openKafkaWriter(config, 'test-writer'),
    openReader: (handler) => openKafkaReader(config, 'test-reader', handler),
    trim: (partition, first) =>
      raw.deleteTopicRecords({ topic: 'contract', partitions: [{ partition, offset: String(first) }] }),
    // A process that is stopped answers nobody and keeps its connections, as one behind a broken network does.
    goAway: () => stopProcess(server.process?.pid),
    comeBack: () => Promise.resolve(server.process?.kill('SIGCONT')),
    breakDown: async () => {
      await raw.disconnect();
      await server.stop();
    },
    close: () => server.stop(),
  };
});
