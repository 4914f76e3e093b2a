import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { Redis } from 'ioredis';
import pg from 'pg';
import { type Cache, type CacheEvent, type CacheOptions, createCache } from '../../src/index.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { LOG_SETTINGS, type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { runCli } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';

describe('written behind, through Redis into Postgres', { timeout: 120_000 }, () => {
  let postgres: PostgresServer;
  let cacheRedis: RedisServer;
  let bufferRedis: RedisServer;
  let pool: pg.Pool;
  let redis: Redis;
  const caches: Cache[] = [];
  const events: CacheEvent[] = [];
  before(async () => {
    [postgres, cacheRedis, bufferRedis] = await Promise.all([
      startPostgres(),
      startRedis(),
      startRedis({ settings: LOG_SETTINGS }),
    ]);
    pool = new pg.Pool({ connectionString: postgres.url, max: 4 });
    redis = new Redis(bufferRedis.url);
  });
  after(async () => {
    redis.disconnect();
    await pool.end();
    await Promise.all([postgres.stop(), cacheRedis.stop(), bufferRedis.stop()]);
  });
  beforeEach(async () => {
    await redis.flushall();
    await pool.query(`DROP TABLE IF EXISTS views, sessions, afterwrite_flushed, afterwrite_refused;
      CREATE TABLE views (id bigint PRIMARY KEY, count bigint NOT NULL);
      CREATE TABLE sessions (id text PRIMARY KEY, seen timestamptz, page text)`);
  });
  afterEach(async () => {
    await Promise.all(caches.splice(0).map((cache) => cache.drain()));
    events.length = 0;
  });

  const file = (more = ''): string => `
bus: shop
source: { url: "${postgres.url}" }
log: { redisStreams: { url: "redis://127.0.0.1:1" } }
regions: { eu: { redis: "${cacheRedis.url}" } }
families: { user: { key: "user:{id}", ttl: 5m, on: { users: { id: id } } } }
buffers:
  views: { redis: "${bufferRedis.url}", kind: counter, table: views, key: [id], flushEvery: 100ms, loss: { process: 40ms, redis: none, disk: 10m }${more} }
  sessions: { redis: "${bufferRedis.url}", kind: buffer, table: sessions, key: [id], columns: [seen, page], flushEvery: 100ms, loss: { process: 40ms, redis: none, disk: 10m } }
`;
  const folder = mkdtempSync(join(tmpdir(), 'afterwrite-buffers-'));
  after(() => rmSync(folder, { recursive: true }));
  const onDisk = (): string => {
    const path = join(folder, 'afterwrite.yaml');
    writeFileSync(path, file());
    return path;
  };
  const open = async (options: Partial<CacheOptions> = {}, more = ''): Promise<Cache> => {
    const application = new Redis(cacheRedis.url, { lazyConnect: true });
    application.on('error', () => undefined);
    const cache = await createCache({
      config: { text: file(more) },
      region: 'eu',
      redis: application,
      postgres: { primary: pool },
      commandTimeoutMs: 2000,
      onEvent: (event) => events.push(event),
      ...options,
    });
    caches.push(cache);
    return cache;
  };
  const counted = async (): Promise<unknown[]> =>
    (await pool.query<unknown[]>({ text: 'SELECT id::int, count::int FROM views ORDER BY id', rowMode: 'array' })).rows;

  test('increments and rows of several processes reach Postgres once, flushed by one of them', async () => {
    const [one, other] = [await open({ buffers: 'flush' }), await open()];
    const calls: Promise<void>[] = [];
    for (let i = 0; i < 1000; i++) {
      calls.push(one.counter('views').add({ id: i % 3 }), other.counter('views').add({ id: i % 3 }, 2));
      calls.push(one.buffer('sessions').put({ id: 'a' }, { seen: new Date(i * 1000), page: `p${i}` }));
    }
    await Promise.all(calls);
    const expected = [
      [0, 1002],
      [1, 999],
      [2, 999],
    ];
    await eventually('the counts', async () => JSON.stringify(await counted()) === JSON.stringify(expected));
    await eventually('the last row', async () => {
      const { rows } = await pool.query('SELECT id, extract(epoch FROM seen)::int AS seen, page FROM sessions');
      return JSON.stringify(rows) === '[{"id":"a","seen":999,"page":"p999"}]';
    });
    assert.deepEqual(Object.keys(one.stats().buffers), ['views', 'sessions']);
    assert.ok(events.some(({ code, message }) => code === 'buffer-open' && message.includes('of a process 40 ms')));
  });

  test('an acknowledged call of a process that is gone is flushed by the program, which shows its metrics', async () => {
    const cache = await open();
    await cache.counter('views').add({ id: 7 }, 5);
    await cache.drain();
    await assert.rejects(cache.counter('views').add({ id: 7 }), { code: 'CACHE_CLOSED' });
    let port = 0;
    let metrics = '';
    const run = await runCli(['flush', '--config', onDisk()], { AFTERWRITE_HTTP_PORT: '0' }, (line, child) => {
      port ||= Number(/"port":(\d+)/.exec(line)?.[1] ?? 0);
      if (port === 0 || metrics !== '') return;
      metrics = 'asked';
      void eventually('the count', async () => (await counted()).length === 1)
        .then(() =>
          eventually('the metrics', async () => {
            metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
            return metrics.includes('afterwrite_buffer_flushed_rows_total{buffer="views"} 1');
          }),
        )
        .finally(() => child.kill('SIGTERM'));
    });
    assert.deepEqual([run.code, await counted()], [0, [[7, 5]]]);
    assert.match(metrics, /afterwrite_buffer_loss_seconds\{buffer="views",by="process"\} 0.04/);
    assert.match(run.out + run.err, /A crash may lose: of a process 40 ms/);
  });

  test('a Redis whose policy may drop what it acknowledged is refused at the start, by the library and by the program', async () => {
    await redis.config('SET', 'maxmemory-policy', 'allkeys-lru');
    try {
      await assert.rejects(open(), { code: 'BUFFER_REDIS_UNFIT' });
      const run = await runCli(['flush', '--config', onDisk()], { AFTERWRITE_HTTP_PORT: '0' });
      assert.equal(run.code, 1);
      assert.match(run.out + run.err, /BUFFER_REDIS_UNFIT/);
    } finally {
      await redis.config('SET', 'maxmemory-policy', 'noeviction');
    }
    await (await open({ buffers: 'off' })).drain();
  });

  test('doctor says what a buffer’s Redis may lose, and what it holds', async () => {
    const doctor = async (): Promise<string[]> => {
      const { out } = await runCli(['doctor', '--json', '--config', onDisk()]);
      const { findings } = JSON.parse(out) as { findings: { subject: string; level: string; message: string }[] };
      return findings
        .filter(({ subject }) => subject === 'buffer views')
        .map(({ level, message }) => `${level} ${message}`);
    };
    const cache = await open();
    await cache.counter('views').add({ id: 1 });
    const found = (await doctor()).join('\n');
    assert.match(found, /^ok its Redis drops nothing by itself/);
    assert.match(found, /ok A crash may lose: of a process 40 ms/);
    // By how fast this machine is, they are older than the loss by now, or not.
    assert.match(found, /1 entries are not flushed/);
    await redis.config('SET', 'appendfsync', 'everysec');
    try {
      assert.match((await doctor()).join('\n'), /fail loss.redis is none, and appendfsync everysec may lose 2000 ms/);
    } finally {
      await redis.config('SET', 'appendfsync', 'always');
    }
  });

  test('a table that cannot be written ends the flusher and the cache that flushes at their start, and doctor names it', async () => {
    await pool.query('DROP TABLE views');
    await assert.rejects(open({ buffers: 'flush' }), {
      code: 'CONFIG_INVALID',
      message: /public\.views does not exist/,
    });
    await (await open()).drain();
    const run = await runCli(['flush', '--config', onDisk()], { AFTERWRITE_HTTP_PORT: '0' });
    assert.notEqual(run.code, 0);
    assert.match(run.out + run.err, /public\.views does not exist/);
    const { out } = await runCli(['doctor', '--json', '--config', onDisk()]);
    assert.match(out, /CONFIG_INVALID: buffers\.views: the table public\.views does not exist/);
  });

  test('doctor finds the buffer that the file has forgotten, and the count of partitions that was changed', async () => {
    for (const name of ['old', 'views']) await redis.hset(`afterwrite:shop:buffer:${name}`, 'partitions', 4);
    await redis.xadd('afterwrite:shop:buffer:old:3', '*', 'd', '[]');
    const { out } = await runCli(['doctor', '--json', '--config', onDisk()]);
    const { findings } = JSON.parse(out) as { findings: { subject: string; level: string; message: string }[] };
    const failed = findings.filter(({ level, subject }) => level === 'fail' && subject.startsWith('buffer '));
    assert.deepEqual(
      failed.map(({ subject, message }) => `${subject} ${message.slice(0, 30)}`).toSorted(),
      ['buffer old is not in the file, and its Re', 'buffer views has 4 partitions in its Redis '].toSorted(),
    );
  });

  test('status shows what waits in a buffer, who flushes it and when it last was, as one screen and as JSON', async () => {
    const cache = await open();
    await cache.counter('views').add({ id: 1 });
    const status = async (): Promise<Record<string, Record<string, unknown>>> => {
      const { out } = await runCli(['status', '--json', '--config', onDisk()]);
      return (JSON.parse(out) as { buffers: Record<string, Record<string, unknown>> }).buffers;
    };
    const before = await status();
    assert.deepEqual(
      [
        before['views']?.['entries'],
        before['views']?.['flushers'],
        before['views']?.['lastFlushMs'],
        before['sessions']?.['entries'],
      ],
      [1, 0, null, 0],
    );
    const flusher = await open({ buffers: 'flush' });
    await eventually('the flush', async () => (await counted()).length === 1);
    const after_ = await status();
    assert.deepEqual(
      [after_['views']?.['entries'], after_['views']?.['flushers'], after_['views']?.['refusedRows']],
      [0, 1, 0],
    );
    assert.equal(typeof after_['views']?.['lastFlushMs'], 'number');
    const { out } = await runCli(['status', '--config', onDisk()]);
    assert.match(out, /^views +0 +0\.0 MiB +0 ms +1 +\d+ ms ago +0$/m);
    await flusher.drain();
  });

  test('a file with write-through needs the pool of the primary', async () => {
    await assert.rejects(open({ postgres: {} }, ', whenFull: write-through'), { code: 'CACHE_OPTION_INVALID' });
    await assert.rejects(open({ postgres: {}, buffers: 'flush' }), { code: 'CACHE_OPTION_INVALID' });
    const cache = await open({}, ', whenFull: write-through, maxEntries: 1');
    const views = cache.counter('views');
    // Of one partition: the first fills it, the second goes past it.
    await views.add({ id: 1 });
    await views.add({ id: 1 });
    await views.add({ id: 1 });
    assert.deepEqual(await counted(), [[1, 2]]);
    const flusher = await open({ buffers: 'flush' });
    await eventually('all three', async () => JSON.stringify(await counted()) === '[[1,3]]');
    await flusher.drain();
  });

  test('after FLUSHALL, and behind ids that went back, new entries are flushed', async () => {
    const cache = await open({ buffers: 'flush' });
    const views = cache.counter('views');
    // Method: the streams' last ids are far in the future, as by a clock that was fast; after FLUSHALL ids begin at the present again.
    for (let partition = 0; partition < 8; partition++)
      await redis.xadd(
        `afterwrite:shop:buffer:views:${partition}`,
        '9999999999999-0',
        'w',
        'x',
        's',
        '1',
        'k',
        '0',
        'd',
        '[]',
      );
    await Promise.all([1, 2, 3, 4, 5].map((id) => views.add({ id })));
    await eventually('the first counts', async () => (await counted()).length === 5);
    await redis.flushall();
    await Promise.all([1, 2, 3, 4, 5].map((id) => views.add({ id })));
    await eventually('the second counts', async () => (await counted()).every((row) => (row as number[])[1] === 2));
  });

  test('a buffer that the file does not have, or of the other kind, is named', async () => {
    const cache = await open();
    assert.throws(() => cache.counter('clicks'), { code: 'BUFFER_UNKNOWN', message: /it has: views/ });
    assert.throws(() => cache.buffer('views'), { code: 'BUFFER_UNKNOWN', message: /it has: sessions/ });
  });

  test('without its Redis a cache begins all the same, and says that the buffer is away', async () => {
    const text = file().replaceAll(bufferRedis.url, 'redis://127.0.0.1:1');
    const cache = await open({ config: { text }, drainWaitMs: 200 });
    await eventually('the event', () =>
      events.some(({ code, buffer }) => code === 'buffer-away' && buffer === 'views'),
    );
    const call = cache.counter('views').add({ id: 1 });
    await cache.drain();
    await assert.rejects(call, { code: 'BUFFER_FULL' });
  });
});
