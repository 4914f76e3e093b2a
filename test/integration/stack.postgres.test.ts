import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { connect } from '../../src/drivers/postgres/connection.ts';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { startKafka } from '../../src/stack/kafka.ts';
import { startPostgres } from '../../src/stack/postgres.ts';
import { startRedis } from '../../src/stack/redis.ts';
import { eventually } from '../support/eventually.ts';

const isAlive = (pid: number): boolean => existsSync(`/proc/${pid}`);

for (const major of [15, 18] as const) {
  test(`PostgreSQL ${major} starts with logical decoding and a replica that follows, and stops without a trace`, async () => {
    const server = await startPostgres({ major, replica: true });
    const primary = await connect(server.url, { applicationName: 'test' });
    const replica = await connect(server.replicaUrl ?? '', { applicationName: 'test' });
    const [row] = await primary.query<{ version: number; level: string }>(
      `select current_setting('server_version_num')::int / 10000 as version, current_setting('wal_level') as level`,
    );
    assert.deepEqual(row, { version: major, level: 'logical' });
    await primary.query('create table public.t as select 7 as n');
    const seen = await eventually(
      'replayed',
      async () => (await replica.query<{ n: number }>('select n from public.t').catch(() => []))[0]?.n,
    );
    assert.equal(seen, 7);
    await replica.close();
    await primary.close();
    const pids = [server.primary?.process.pid ?? 0, server.replica?.process.pid ?? 0];
    await server.stop();
    assert.deepEqual(pids.filter(isAlive), []);
  });
}

test('a Redis starts as a cache: it has a limit, forgets by TTL, and keeps nothing on disk', async () => {
  const server = await startRedis();
  const redis = await connectRedis(server.url, { name: 'test' });
  assert.deepEqual(await redis.config('GET', 'maxmemory-policy'), ['maxmemory-policy', 'volatile-lru']);
  assert.deepEqual(await redis.config('GET', 'appendonly'), ['appendonly', 'no']);
  redis.disconnect();
  const pid = server.process?.pid ?? 0;
  await server.stop();
  assert.equal(isAlive(pid), false);
});

test('a given URL is taken as it is, and nothing is started or stopped', async () => {
  const server = await startRedis({ url: 'redis://127.0.0.1:1' });
  assert.deepEqual([server.url, server.process, server.chosen], ['redis://127.0.0.1:1', undefined, 'the given URL']);
  await server.stop();
});

test('what cannot be had is named, with the command that brings it', async () => {
  const { PATH, KAFKA_HOME } = process.env;
  process.env['PATH'] = '/nonexistent';
  try {
    process.env['XDG_CACHE_HOME'] = '/nonexistent';
    await assert.rejects(
      withoutRoot(() => startRedis()),
      { code: 'STACK_UNAVAILABLE', message: /apt-get install redis-server/ },
    );
    await assert.rejects(
      withoutRoot(() => startKafka()),
      { code: 'STACK_UNAVAILABLE', message: /Java 17 or newer/ },
    );
  } finally {
    process.env['PATH'] = PATH;
    if (KAFKA_HOME !== undefined) process.env['KAFKA_HOME'] = KAFKA_HOME;
    delete process.env['XDG_CACHE_HOME'];
  }
});

test('where only a Docker engine is there, the servers run in containers that are removed at their end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'fake-docker-'));
  const said = join(folder, 'said');
  writeFileSync(
    join(folder, 'docker'),
    `#!/bin/sh\necho "$@" >> ${said}\ncase "$1" in info) echo 28.0;; run) echo container-1;; esac\n`,
    { mode: 0o755 },
  );
  const { PATH } = process.env;
  process.env['PATH'] = folder;
  process.env['XDG_CACHE_HOME'] = folder;
  try {
    const [redis, kafka] = await withoutRoot(async () => [await startRedis(), await startKafka()] as const);
    assert.deepEqual([redis.chosen, kafka.chosen], ['Docker (redis:8)', 'Docker (apache/kafka:4.1.1)']);
    await redis.stop();
    const lines = readFileSync(said, 'utf8').split('\n');
    assert.ok(
      lines.some((line) =>
        line.startsWith(
          `run --rm --detach --label afterwrite=demo --publish 127.0.0.1:${redis.port}:6379 redis:8 redis-server`,
        ),
      ),
    );
    assert.ok(lines.some((line) => line.includes(`--env KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://${kafka.brokers[0]}`)));
    assert.ok(lines.includes('rm --force container-1'));
  } finally {
    process.env['PATH'] = PATH;
    delete process.env['XDG_CACHE_HOME'];
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Runs as somebody who may install nothing. */
async function withoutRoot<T>(body: () => Promise<T>): Promise<T> {
  const getuid = process.getuid;
  process.getuid = () => 1000;
  try {
    return await body();
  } finally {
    if (getuid !== undefined) process.getuid = getuid;
  }
}
