import assert from 'node:assert/strict';
import { test } from 'node:test';
import { connectRedis } from '../../src/drivers/redis/connection.ts';

test('a Redis that is not there is told with the reason of the socket, and without the password', async () => {
  await assert.rejects(connectRedis('redis://app:s3cret@127.0.0.1:1', { name: 'test' }), {
    code: 'REDIS_UNREACHABLE',
    message: /ECONNREFUSED/,
    at: 'redis://app:***@127.0.0.1:1',
  });
});
