// npm run bench:write-behind -- [--json] [--seconds N]: increments a second, acknowledged once they stand in Redis. See bench/README.md.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import pg from 'pg';
import { startPostgres } from '../../src/stack/postgres.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';
import { type CallerWish, type Contender, CONTENDERS } from './contender.ts';
import type { LoadResult } from './load.ts';

const KEYS = 100_000;
const SEED = 20_260_101;
const WINDOW_MS = 50;
/** Increments of one caller at a time. */
const TOGETHER = 50;
const WARM_UP_MS = 2000;
const WANTED_PER_SECOND = 500_000;
const PATH = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

const { values } = parseArgs({
  options: { json: { type: 'boolean', default: false }, seconds: { type: 'string', default: '8' } },
});

interface Measured extends LoadResult {
  readonly contender: string;
  readonly appendfsync: string;
  readonly loadAverage: number;
  /** Of afterwrite alone: what is in Postgres after all is flushed, and how long after the last call that is. */
  readonly counted?: number;
  readonly caughtUpMs?: number;
}

const postgres = await startPostgres();
const pool = new pg.Pool({ connectionString: postgres.url, max: 1 });
const cacheRedis = await startRedis();
const folder = mkdtempSync(join(tmpdir(), 'afterwrite-bench-'));
const results: Measured[] = [];
for (const appendfsync of ['everysec', 'always'] as const)
  for (const contender of CONTENDERS) {
    process.stderr.write(`${contender.title}, appendfsync ${appendfsync}\n`);
    results.push(await measure(contender, appendfsync));
  }
await pool.end();
await Promise.all([postgres.stop(), cacheRedis.stop()]);
rmSync(folder, { recursive: true });

print(results);
const version = (name: string): string =>
  (JSON.parse(readFileSync(PATH(`../../node_modules/${name}/package.json`), 'utf8')) as { version: string }).version;
const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version };
const versions = { bullmq: version('bullmq'), ioredis: version('ioredis'), postgres: postgres.chosen };
const method = { keys: KEYS, zipf: 1, windowMs: WINDOW_MS, seconds: Number(values.seconds) };
if (values.json) console.log(JSON.stringify({ benchmark: 'write-behind', machine, versions, method, results }));

async function measure(contender: Contender, appendfsync: 'everysec' | 'always'): Promise<Measured> {
  const server = await startRedis({ settings: { ...LOG_SETTINGS, appendfsync } });
  const file = join(folder, 'afterwrite.yaml');
  writeFileSync(
    file,
    `bus: bench
source: { url: "${postgres.url}" }
log: { redisStreams: { url: "redis://127.0.0.1:1" } }
regions: { eu: { redis: "${cacheRedis.url}" } }
families: { user: { key: "user:{id}", ttl: 5m, on: { users: { id: id } } } }
buffers:
  views: { redis: "${server.url}", kind: counter, table: views, key: [id], window: ${WINDOW_MS}ms, flushEvery: 2s, maxEntries: 100000000, maxBytes: 2000000000, loss: { process: 100ms, redis: ${appendfsync === 'always' ? 'none' : '2s'}, disk: 60s } }
`,
  );
  const wish: CallerWish = {
    file,
    cacheRedis: cacheRedis.url,
    bufferRedis: server.url,
    keys: KEYS,
    seed: SEED,
    callers: contender.callers,
    together: TOGETHER,
    windowMs: WINDOW_MS,
    warmUpMs: WARM_UP_MS,
    measureMs: Number(values.seconds) * 1000,
  };
  try {
    if (contender.name !== 'afterwrite')
      return { contender: contender.name, appendfsync, loadAverage: loadOf(), ...(await call(contender.name, wish)) };
    await pool.query('DROP TABLE IF EXISTS views; CREATE TABLE views (id bigint PRIMARY KEY, count bigint NOT NULL)');
    const flusher = spawn(process.execPath, [PATH('../../src/bin/afterwrite.ts'), 'flush', '--config', file], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env: { ...process.env, AFTERWRITE_HTTP_PORT: '0', AFTERWRITE_LOG_LEVEL: 'error' },
    });
    const load = await call('afterwrite', wish);
    const overMs = performance.now();
    await untilFlushed(server.url);
    const caughtUpMs = performance.now() - overMs;
    const ended = new Promise((resolve) => flusher.once('close', resolve));
    flusher.kill('SIGTERM');
    await ended;
    const { rows } = await pool.query<{ counted: string }>('SELECT sum(count)::text AS counted FROM views');
    return {
      contender: 'afterwrite',
      appendfsync,
      loadAverage: loadOf(),
      ...load,
      counted: Number(rows[0]?.counted),
      caughtUpMs,
    };
  } finally {
    await server.stop();
  }
}

function call(contender: string, wish: CallerWish): Promise<LoadResult> {
  const child = spawn(process.execPath, [PATH('caller.ts'), contender, JSON.stringify(wish)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
  return new Promise((resolve, reject) =>
    child.once('close', (code) =>
      code === 0 ? resolve(JSON.parse(text) as LoadResult) : reject(new Error(`${contender} ended with ${code}`)),
    ),
  );
}

/** Waits until no entry is left in the streams. */
async function untilFlushed(url: string): Promise<void> {
  const redis = new Redis(url);
  while ((await redis.keys('afterwrite:bench:buffer:views:*:size')).length > 0)
    await new Promise((resolve) => setTimeout(resolve, 50));
  redis.disconnect();
}

function loadOf(): number {
  return Number((loadavg()[0] ?? 0).toFixed(2));
}

function print(rows: readonly Measured[]): void {
  const lines = [
    ['', 'appendfsync', 'increments/s', 'ack p50', 'ack p99', 'CPU an increment', 'counted in Postgres'],
    ...rows.map((row) => [
      CONTENDERS.find(({ name }) => name === row.contender)?.title ?? row.contender,
      row.appendfsync,
      Math.round(row.perSecond).toLocaleString('en'),
      `${row.p50Ms.toFixed(0)} ms`,
      `${row.p99Ms.toFixed(0)} ms`,
      `${row.cpuUs.toFixed(2)} us`,
      row.counted === undefined
        ? 'not asked'
        : `${row.counted === row.acknowledged ? 'each once' : `WRONG by ${row.counted - row.acknowledged}`}, ${((row.caughtUpMs ?? 0) / 1000).toFixed(1)} s after the last`,
    ]),
  ];
  const widths = lines[0]?.map((_, i) => Math.max(...lines.map((line) => line[i]?.length ?? 0))) ?? [];
  for (const line of lines) console.log(line.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   '));
  const worst = Math.min(...rows.filter(({ contender }) => contender === 'afterwrite').map((row) => row.perSecond));
  const wanted = WANTED_PER_SECOND.toLocaleString('en');
  console.log(`To reach: ${wanted}/s, window ${WINDOW_MS} ms.${worst >= WANTED_PER_SECOND ? '' : ' MISSED'}`);
}
