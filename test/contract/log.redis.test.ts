import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { createStreams, idOf, streamKeys } from '../../src/drivers/redis/streams.ts';
import { openStreamsReader } from '../../src/drivers/redis/streams-reader.ts';
import { openStreamsWriter } from '../../src/drivers/redis/streams-writer.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';
import { eventually } from '../support/eventually.ts';
import { describeLog } from './log-contract.ts';
import { stopProcess } from '../support/stop-process.ts';

describeLog('a log in Redis Streams', async () => {
  const server = await startRedis({ settings: LOG_SETTINGS });
  const config = { kind: 'redis-streams' as const, url: server.url, partitions: 6, recordsMax: 1_000_000 };
  const redis = await connectRedis(server.url, { name: 'test' });
  await createStreams(redis, 'shop', config);
  return {
    partitions: 6,
    openWriter: () => openStreamsWriter('shop', config, new Set(['eu']), 'test-writer'),
    openReader: (handler) => openStreamsReader('shop', config, 'eu', handler),
    trim: async (partition, first) =>
      void (await redis.xtrim(streamKeys('shop').stream(partition), 'MINID', idOf(first))),
    // A process that is stopped answers nobody and keeps its connections, as one behind a broken network does.
    goAway: () => stopProcess(server.process?.pid),
    comeBack: () => Promise.resolve(server.process?.kill('SIGCONT')),
    breakDown: async () => {
      redis.disconnect();
      await server.stop();
    },
    close: () => server.stop(),
  };
});

test('many who ask for the bounds after a broken connection share a new one', async () => {
  const server = await startRedis({ settings: LOG_SETTINGS });
  const config = { kind: 'redis-streams' as const, url: server.url, partitions: 2, recordsMax: 1000 };
  const redis = await connectRedis(server.url, { name: 'test' });
  await createStreams(redis, 'shop', config);
  const reader = await openStreamsReader('shop', config, 'eu', () => undefined);
  try {
    await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
    await eventually('they are answered again', () =>
      Promise.all([1, 2, 3, 4, 5].map(() => reader.bounds())).catch(() => undefined),
    );
    const names = String(await redis.call('CLIENT', 'LIST')).match(/name=afterwrite-eu /g);
    assert.equal(names?.length, 1);
  } finally {
    await reader.close();
    redis.disconnect();
    await server.stop();
  }
});
