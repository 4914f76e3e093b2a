import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Redis } from 'ioredis';
import { unfitFor } from '../../src/buffer/server-fit.ts';
import type { BufferConfig } from '../../src/config/bus-config.ts';
import { RedisBufferLog } from '../../src/drivers/redis/buffer-log.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';
import { MemoryBufferLog } from '../../src/testing/memory-buffer-log.ts';
import { bufferConfig } from '../support/buffer-config.ts';
import { seeded } from '../support/seeded.ts';
import { bufferLogContract, entryOf } from './buffer-log-contract.ts';

const server = await startRedis({ settings: LOG_SETTINGS });
const redis = new Redis(server.url);
after(async () => {
  redis.disconnect();
  await server.stop();
});

function logOf(more: Partial<BufferConfig> = {}): RedisBufferLog {
  const config = bufferConfig({ redis: server.url, ...more });
  return new RedisBufferLog({ bus: 'shop', config, name: 'test', unfit: (facts) => unfitFor(config, facts) });
}

bufferLogContract('redis', async (limits) => {
  await redis.flushall();
  return logOf(limits);
});

test('redis and memory answer alike to the same random calls', async () => {
  // Method: appends, removals of what was read some calls ago, and looks, in a random order, against both; every answer is compared.
  for (let seed = 1; seed <= 20; seed++) {
    await redis.flushall();
    const limits = { entriesMax: 30, bytesMax: 400 };
    const whole = seeded(seed);
    const random = (): number => whole(1_000_000) / 1_000_000;
    const real = logOf(limits);
    const twin = new MemoryBufferLog({ partitions: 2, ...limits }, () => Date.now());
    const read: (readonly [partition: number, ...Awaited<ReturnType<typeof real.read>>[]])[] = [];
    for (let step = 1; step <= 60; step++) {
      const partition = random() < 0.5 ? 0 : 1;
      const dice = random();
      if (dice < 0.5) {
        const data = `["${'k'.repeat(Math.floor(random() * 60))}",1]`;
        const entry = entryOf(random() < 0.5 ? 'a' : 'b', step, 1 + Math.floor(random() * 6), data);
        const isForced = random() < 0.1;
        const answers = [await real.append(partition, entry, isForced), await twin.append(partition, entry, isForced)];
        assert.equal(answers[0]?.kind, answers[1]?.kind, `seed ${seed}, step ${step}`);
      } else if (dice < 0.7) {
        const some = { entriesMax: 1 + Math.floor(random() * 8), bytesMax: 1 << 20 };
        const both = [await real.read(partition, some), await twin.read(partition, some)] as const;
        const plain = both.map((entries) => entries.map((entry) => ({ ...entry, place: undefined })));
        assert.deepEqual(plain[0], plain[1], `seed ${seed}, step ${step}`);
        read.push([partition, ...both]);
      } else if (dice < 0.9) {
        const [at, ofReal, ofTwin] = read[Math.floor(random() * read.length)] ?? [];
        if (at === undefined || ofReal === undefined || ofTwin === undefined) continue;
        await real.remove(at, ofReal);
        await twin.remove(at, ofTwin);
      } else {
        const [one, other] = [await real.depth(), await twin.depth()];
        assert.deepEqual([one.entries, one.bytes], [other.entries, other.bytes], `seed ${seed}, step ${step}`);
      }
    }
    await real.close();
  }
});

test('a Redis that may drop what it has acknowledged is refused, and so is one that may lose more than was named', async () => {
  await redis.flushall();
  const refusal = async (settings: Readonly<Record<string, string>>, more: Partial<BufferConfig> = {}) => {
    for (const [name, value] of Object.entries(settings)) await redis.config('SET', name, value);
    const log = logOf(more);
    const error = await log.ready().then(
      () => undefined,
      (error: unknown) => error as { readonly code: string; readonly message: string },
    );
    const append = await log.append(0, entryOf('a', 1), false);
    assert.equal(append.kind, error === undefined ? 'appended' : 'refused');
    await log.close();
    return error === undefined ? undefined : `${error.code} ${error.message}`;
  };
  for (const policy of ['allkeys-lru', 'volatile-ttl', 'allkeys-random'])
    assert.match(String(await refusal({ 'maxmemory-policy': policy })), /^BUFFER_REDIS_UNFIT .* maxmemory-policy is /);
  assert.equal(await refusal({ 'maxmemory-policy': 'noeviction' }), undefined);
  const everysec = await refusal({ appendfsync: 'everysec' });
  assert.match(
    String(everysec),
    /^BUFFER_LOSS_UNKEPT views: loss.redis is none, and appendfsync everysec may lose 2000 ms/,
  );
  const seconds = (redisMs: number) => ({ loss: { processMs: 100, redisMs, diskMs: 10_000 } });
  assert.match(String(await refusal({}, seconds(1999))), /^BUFFER_LOSS_UNKEPT/);
  assert.equal(await refusal({}, seconds(2000)), undefined);
  assert.match(
    String(await refusal({ 'no-appendfsync-on-rewrite': 'yes' }, seconds(1999))),
    /no-appendfsync-on-rewrite/,
  );
  await redis.config('SET', 'no-appendfsync-on-rewrite', 'no');
  assert.match(String(await refusal({ appendonly: 'no' }, seconds(1999))), /appendonly is no/);
  await redis.config('SET', 'appendonly', 'yes');
  await redis.config('SET', 'appendfsync', 'always');
  assert.match(String(await refusal({}, { partitions: 3 })), /^BUFFER_REDIS_UNFIT views has 2 partitions/);
});

test('a server without memory is full and not away, and flushing makes room', async () => {
  await redis.flushall();
  const log = logOf();
  await log.append(0, entryOf('a', 1), false);
  await redis.config('SET', 'maxmemory', '1');
  assert.equal((await log.append(0, entryOf('a', 2), false)).kind, 'full');
  await log.remove(0, await log.read(0, { entriesMax: 10, bytesMax: 1000 }));
  await redis.config('SET', 'maxmemory', '0');
  assert.deepEqual(await log.depth(), { entries: 0, bytes: 0, oldestMs: 0 });
  await log.close();
});

test('what was read before a server lost its memory removes nothing that came after, though the ids are the same', async () => {
  await redis.flushall();
  const [writer, reader] = [logOf(), logOf()];
  await redis.xadd('afterwrite:shop:buffer:views:0', '5-1', 'w', 'a', 's', '1', 'k', '1', 'd', '["k",1]');
  const read = await reader.read(0, { entriesMax: 10, bytesMax: 1000 });
  // The reader's connection ends with the server that it read from.
  await redis.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  await redis.flushall();
  await redis.xadd('afterwrite:shop:buffer:views:0', '5-1', 'w', 'a', 's', '2', 'k', '1', 'd', '["k",1]');
  await reader.ready().catch(() => undefined);
  await reader.remove(0, read);
  assert.deepEqual(
    (await writer.read(0, { entriesMax: 10, bytesMax: 1000 })).map(({ seq }) => seq),
    [2],
  );
  await Promise.all([writer.close(), reader.close()]);
});

test('a Redis whose memory is full takes a new connection, which makes room in it', async () => {
  const log = logOf();
  await redis.flushall();
  assert.equal((await log.append(0, entryOf('a', 1, 1, 'x'.repeat(1000)), false)).kind, 'appended');
  await log.close();
  await redis.config('SET', 'maxmemory', '1');
  const other = logOf();
  try {
    assert.equal((await other.append(0, entryOf('a', 2), false)).kind, 'full');
    await other.remove(0, await other.read(0, { entriesMax: 10, bytesMax: 1 << 20 }));
    assert.equal((await other.depth()).entries, 0);
  } finally {
    await redis.config('SET', 'maxmemory', '0');
    await other.close();
  }
});

test('entries of megabytes are not read by the hundred', async () => {
  await redis.flushall();
  const log = logOf();
  for (let seq = 1; seq <= 40; seq++)
    assert.equal((await log.append(0, entryOf('a', seq, 1, 'x'.repeat(1 << 20)), true)).kind, 'appended');
  await redis.config('RESETSTAT');
  const read = await log.read(0, { entriesMax: 2000, bytesMax: 4 << 20 });
  const sent = Number(/total_net_output_bytes:(\d+)/.exec(await redis.info('stats'))?.[1]);
  assert.ok(read.length <= 8, `${read.length} entries`);
  assert.ok(sent < 12 << 20, `${sent} bytes were sent`);
  await log.close();
});
