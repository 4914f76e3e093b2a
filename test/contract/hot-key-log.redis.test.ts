import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { hotKeysKey, openRedisHotKeyLog } from '../../src/drivers/redis/hot-key-log.ts';
import { createStreams } from '../../src/drivers/redis/streams.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';
import { describeHotKeyLog } from './hot-key-log-contract.ts';

describeHotKeyLog('hot keys in the Redis of the log', async () => {
  const server = await startRedis({ settings: LOG_SETTINGS });
  const config = { kind: 'redis-streams' as const, url: server.url, partitions: 2, recordsMax: 1000 };
  const redis = await connectRedis(server.url, { name: 'test' });
  await createStreams(redis, 'shop', config);
  return {
    open: () => openRedisHotKeyLog('shop', config),
    spoil: async (region, family, bucket) =>
      void (await redis.hset(hotKeysKey('shop', region), `${family}/${bucket}`, 'no gzip')),
    close: async () => {
      redis.disconnect();
      await server.stop();
    },
  };
});

test('where the log was never made there is no place for hot keys either', async () => {
  const server = await startRedis({ settings: LOG_SETTINGS });
  try {
    const config = { kind: 'redis-streams' as const, url: server.url, partitions: 2, recordsMax: 1000 };
    await assert.rejects(openRedisHotKeyLog('shop', config), { code: 'LOG_MISSING' });
  } finally {
    await server.stop();
  }
});
