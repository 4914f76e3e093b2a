import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Redis } from 'ioredis';
import pg from 'pg';
import { startPostgres } from '../../src/stack/postgres.ts';
import { startRedis } from '../../src/stack/redis.ts';
import { eventually } from '../support/eventually.ts';
import { KilledRedis } from '../support/killed-redis.ts';
import { seeded } from '../support/seeded.ts';

const KILLS = 100;
/** Within the two seconds that the file names, and short, so that what is lost elsewhere shows. */
const LOST_MAX_MS = 400;
/** A busy process notes an acknowledgement so much later than Redis gave it. */
const NOTED_MS = 500;
const WRITERS = 2;
const FLUSHERS = 2;
const SUPPORT = new URL('../support/', import.meta.url);
const WRITER = fileURLToPath(new URL('write-behind-process.ts', SUPPORT));
const PROGRAM = fileURLToPath(new URL('../../src/bin/afterwrite.ts', import.meta.url));

const [postgres, cacheRedis, always, everysec] = await Promise.all([
  startPostgres(),
  startRedis(),
  KilledRedis.start('always'),
  KilledRedis.start('everysec'),
]);
const pool = new pg.Pool({ connectionString: postgres.url, max: 2 });
const folder = mkdtempSync(join(tmpdir(), 'afterwrite-kills-'));
const children = new Set<ChildProcess>();
after(async () => {
  for (const child of children) child.kill('SIGKILL');
  await pool.end();
  await Promise.all([postgres.stop(), cacheRedis.stop(), always.close(), everysec.close()]);
  rmSync(folder, { recursive: true });
});

const buffer = (name: string, redis: string, loss: string): string =>
  `  ${name}: { redis: "${redis}", kind: counter, key: [id], statement: "insert into applied (buffer, id, n) select '${name}', id, n from batch", partitions: 3, flushEvery: 50ms, loss: { process: 40ms, redis: ${loss}, disk: 60s } }\n`;

function file(): string {
  const path = join(folder, 'afterwrite.yaml');
  writeFileSync(
    path,
    `bus: shop
source: { url: "${postgres.url}" }
log: { redisStreams: { url: "redis://127.0.0.1:1" } }
regions: { eu: { redis: "${cacheRedis.url}" } }
families: { user: { key: "user:{id}", ttl: 5m, on: { users: { id: id } } } }
buffers:
${buffer('always', always.url, 'none')}${buffer('everysec', everysec.url, '2s')}`,
  );
  return path;
}

function start(args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, AFTERWRITE_HTTP_PORT: '0', AFTERWRITE_LOG_LEVEL: 'error' },
  });
  children.add(child);
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await ended;
  children.delete(child);
}

const ledgers = (): string[] => readdirSync(folder).filter((name) => name.startsWith('ledger-'));
const written = (): number => ledgers().reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);

interface Call {
  readonly id: string;
  readonly told: string;
  readonly atMs: number;
}

/** What the processes knew of each call when they were killed. */
function readLedgers(buffer: string): Map<string, Call> {
  const calls = new Map<string, Call>();
  for (const name of ledgers())
    for (const line of readFileSync(join(folder, name), 'utf8').split('\n')) {
      const [kind, ...words] = line.split(' ');
      if (kind === 'T') for (const id of words) calls.set(id, { id, told: 'nothing', atMs: 0 });
      else if (words[0] !== buffer) continue;
      else if (kind === 'A')
        for (const id of words.slice(2)) calls.set(id, { id, told: 'acknowledged', atMs: Number(words[1]) });
      else if (kind === 'R') calls.set(words[2]!, { id: words[2]!, told: words[1]!, atMs: 0 });
    }
  return calls;
}

test(`over ${KILLS} kills of processes and servers no acknowledged call is lost beyond the named loss, and none counts twice`, async (t) => {
  // Method: writers and flushers as processes, two Redis servers, one Postgres. At random one of them is killed outright and started anew, each time once
  // calls have been acknowledged since; of the Redis with everysec the end of its file is cut off too, as if the machine had gone down. Each call has a
  // key of its own, and each flush inserts rows without any unique index, so a batch that is written twice shows. Then all that was told is compared with
  // what stands in the table.
  await pool.query('CREATE TABLE applied (buffer text, id text, n numeric)');
  const seed = Number(process.env['SEED'] ?? Date.now() % 1_000_000);
  t.diagnostic(`SEED=${seed}`);
  const random = seeded(seed);
  const path = file();
  let writers = 0;
  const startWriter = (): ChildProcess => {
    const name = `w${writers++}`;
    return start([WRITER, path, cacheRedis.url, join(folder, `ledger-${name}`), name, 'always,everysec']);
  };
  const startFlusher = (): ChildProcess => start([PROGRAM, 'flush', '--config', path]);
  const writing = Array.from({ length: WRITERS }, startWriter);
  const flushing = Array.from({ length: FLUSHERS }, startFlusher);
  const everysecKills: { readonly fromMs: number; readonly killedMs: number }[] = [];
  const counts = { writer: 0, flusher: 0, always: 0, everysec: 0 };
  for (let kills = 0; kills < KILLS; kills++) {
    const before = written();
    await eventually('calls are acknowledged', () => written() > before + 200, 60_000);
    await new Promise((resolve) => setTimeout(resolve, random(120)));
    const dice = random(20);
    if (dice < 4) {
      const i = random(WRITERS);
      await kill(writing[i]!);
      writing[i] = startWriter();
      counts.writer += 1;
    } else if (dice < 9) {
      const i = random(FLUSHERS);
      await kill(flushing[i]!);
      flushing[i] = startFlusher();
      counts.flusher += 1;
    } else if (dice < 16) {
      await always.kill(0);
      await always.start();
      counts.always += 1;
    } else {
      everysecKills.push(await everysec.kill(random(LOST_MAX_MS)));
      await everysec.start();
      counts.everysec += 1;
    }
  }
  t.diagnostic(JSON.stringify(counts));
  await Promise.all(writing.map(kill));
  const rows = async (): Promise<number> =>
    (await pool.query<{ n: number }>('SELECT count(*)::int AS n FROM applied')).rows[0]!.n;
  await eventually(
    'both buffers are empty',
    async () => {
      for (const { url } of [always, everysec]) {
        const redis = new Redis(url);
        const sizes = await redis.keys('*:size');
        redis.disconnect();
        if (sizes.length > 0) return false;
      }
      return (await rows()) > 0;
    },
    60_000,
  );
  await Promise.all(flushing.map(kill));

  const { rows: twice } = await pool.query(
    'SELECT buffer, id FROM applied GROUP BY buffer, id HAVING count(*) > 1 OR sum(n) <> 1',
  );
  assert.deepEqual(twice, [], 'nothing counts twice');
  for (const name of ['always', 'everysec']) {
    const found = await pool.query<[string]>({
      text: 'SELECT id FROM applied WHERE buffer = $1',
      values: [name],
      rowMode: 'array',
    });
    const applied = new Set(found.rows.map(([id]) => id));
    const calls = [...readLedgers(name).values()];
    const acknowledged = calls.filter(({ told }) => told === 'acknowledged');
    const lost = acknowledged.filter(({ id }) => !applied.has(id));
    const refused = calls.filter(({ id, told }) => told === 'BUFFER_FULL' && applied.has(id));
    const beyond = lost.filter(({ atMs }) =>
      everysecKills.every(({ fromMs, killedMs }) => atMs < fromMs || atMs > killedMs + NOTED_MS),
    );
    t.diagnostic(
      `${name}: ${calls.length} calls, ${acknowledged.length} acknowledged, ${lost.length} of them lost, ${applied.size} applied`,
    );
    assert.ok(acknowledged.length > KILLS);
    assert.deepEqual(refused, [], 'what was refused does not count');
    if (name === 'always') assert.deepEqual(lost, [], 'appendfsync always loses nothing');
    assert.deepEqual(beyond, [], 'what is lost was acknowledged within the loss before a crash');
  }
});
