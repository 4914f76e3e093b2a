import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { createStreams, idOf, streamKeys } from '../../src/drivers/redis/streams.ts';
import { openStreamsReader } from '../../src/drivers/redis/streams-reader.ts';
import { openStreamsWriter } from '../../src/drivers/redis/streams-writer.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';
import { describeLog } from './log-contract.ts';

describeLog('a log in Redis Streams', async () => {
  const server = await startRedis({ settings: LOG_SETTINGS });
  const config = { kind: 'redis-streams' as const, url: server.url, partitions: 6, recordsMax: 1_000_000 };
  const redis = await connectRedis(server.url, { name: 'test' });
  await createStreams(redis, 'shop', config);
  return {
    partitions: 6,
    openWriter: () => openStreamsWriter('shop', config, 'test-writer'),
    openReader: (handler) => openStreamsReader('shop', config, 'eu', handler),
    trim: async (partition, first) =>
      void (await redis.xtrim(streamKeys('shop').stream(partition), 'MINID', idOf(first))),
    breakDown: async () => {
      redis.disconnect();
      await server.stop();
    },
    close: () => server.stop(),
  };
});
