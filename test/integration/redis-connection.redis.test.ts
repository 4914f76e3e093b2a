import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { connectRedis, type RedisConnection } from '../../src/drivers/redis/connection.ts';
import { createStreams } from '../../src/drivers/redis/streams.ts';
import { openStreamsWriter } from '../../src/drivers/redis/streams-writer.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { LOG_SETTINGS, type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { eventually } from '../support/eventually.ts';

let server: RedisServer;
let redis: RedisConnection;

before(async () => {
  server = await startRedis({ settings: { ...LOG_SETTINGS, 'enable-debug-command': 'yes' } });
  redis = await connectRedis(server.url, { name: 'test' });
});

after(async () => {
  redis?.disconnect();
  await server?.stop();
});

test('a server that loads its data is away, and not waited for in silence', async () => {
  await redis.call('DEBUG', 'POPULATE', '3000', 'filler', '100');
  // A key takes a millisecond to load, so that the server loads for seconds.
  await redis.call('CONFIG', 'SET', 'key-load-delay', '1000');
  await redis.call('CONFIG', 'SET', 'loading-process-events-interval-bytes', '1024');
  const loaded = redis.call('DEBUG', 'RELOAD').catch(() => undefined);
  const refusal = await eventually('refused', () =>
    connectRedis(server.url, { name: 'another' }).then(
      (connection) => connection.disconnect(),
      (error: unknown) => error,
    ),
  );
  assert.ok(isBusError(refusal, 'REDIS_UNREACHABLE') && /LOADING/.test(refusal.message), 'away, by its name');
  await redis.call('CONFIG', 'SET', 'key-load-delay', '0').catch(() => undefined);
  await loaded;
  const connection = await eventually('connected', () =>
    connectRedis(server.url, { name: 'another' }).catch(() => undefined),
  );
  connection.disconnect();
});

test('a wrong password is refused when connecting', async () => {
  const url = server.url.replace('redis://', 'redis://nobody:wrong@');
  await assert.rejects(connectRedis(url, { name: 'test' }), (error) => isBusError(error, 'REDIS_DENIED'));
});

test('a log whose Redis may evict it, or forgets what it acknowledged, is refused', async () => {
  const config = { kind: 'redis-streams' as const, url: server.url, partitions: 1, recordsMax: 1000 };
  await redis.flushall();
  await createStreams(redis, 'shop', config);
  const open = () => openStreamsWriter('shop', config, new Set(['eu']), 'test');
  await (await open()).close();
  for (const [name, bad] of [
    ['maxmemory-policy', 'allkeys-lru'],
    ['maxmemory-policy', 'volatile-lru'],
    ['appendonly', 'no'],
  ] as const) {
    await redis.config('SET', name, bad);
    await assert.rejects(open(), (error) => isBusError(error, 'LOG_NOT_DURABLE'), `${name} ${bad}`);
    await redis.config('SET', name, LOG_SETTINGS[name]);
  }
});
