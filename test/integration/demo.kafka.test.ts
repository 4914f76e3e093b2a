import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Act } from '../../src/cli/demo/failover/report.ts';
import { connect } from '../../src/drivers/postgres/connection.ts';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { startPostgres } from '../../src/stack/postgres.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';
import { eventually } from '../support/eventually.ts';
import { type CliRun, runCli, type RunningCli } from '../support/cli.ts';

interface Result {
  readonly regions: number;
  readonly log: string;
  readonly commits: number;
  readonly evictions: number;
  readonly missed: number;
  readonly latencyMs: Readonly<Record<'p50' | 'p99' | 'p999' | 'max', number>>;
}

/** A temporary folder of its own, so that what the demo leaves behind can be seen. */
function ownTemporaryFolder(): { readonly path: string; readonly env: Readonly<Record<string, string>> } {
  const path = mkdtempSync(join(tmpdir(), 'demo-test-'));
  // Postgres runs as another user, who has to pass.
  chmodSync(path, 0o755);
  return { path, env: { TMPDIR: path } };
}

/** The command lines, by pid, of the processes that name the folder. One may end while we look. */
function processesOf(folder: string): ReadonlyMap<string, string> {
  const commands = readdirSync('/proc')
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .map((pid): [string, string] => [pid, readCommand(pid)]);
  return new Map(commands.filter(([, command]) => command.includes(folder)));
}

function killIfAlive(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

function readCommand(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

for (const log of ['kafka', 'redis-streams'] as const) {
  test(
    `the demo proves the end state in three regions, by way of ${log}, and leaves nothing behind`,
    { timeout: 120_000 },
    async (t) => {
      const folder = ownTemporaryFolder();
      try {
        const run = await runCli(['demo', '--json', '--seconds', '4', '--log', log], folder.env);
        assert.equal(run.code, 0, run.err);
        const result = JSON.parse(run.out.trim().split('\n').at(-1) ?? '') as Result;
        t.diagnostic(JSON.stringify(result.latencyMs));
        assert.deepEqual([result.regions, result.log, result.missed], [3, log, 0]);
        assert.ok(
          result.commits > 100 && result.evictions >= result.commits * 6,
          'a user and a list, in three regions',
        );
        assert.deepEqual(Object.keys(result.latencyMs), ['p50', 'p99', 'p999', 'max']);
        assert.deepEqual(readdirSync(folder.path), []);
        assert.deepEqual([...processesOf(folder.path).values()], []);
      } finally {
        rmSync(folder.path, { recursive: true, force: true });
      }
    },
  );
}

test(
  'the failover: an emptied region is warm before its users are let in, with a warm-up; none of its values is old, with one and without',
  { timeout: 240_000 },
  async (t) => {
    const folder = ownTemporaryFolder();
    try {
      const run = await runCli(
        ['demo', '--failover', '--json', '--seconds', '8', '--log', 'redis-streams'],
        folder.env,
      );
      assert.equal(run.code, 0, run.err);
      const { withoutWarmup, ...withWarmup } = JSON.parse(run.out.trim().split('\n').at(-1) ?? '') as Act & {
        readonly withoutWarmup: Act;
      };
      t.diagnostic(run.out.trim());
      assert.deepEqual([withWarmup.stale, withoutWarmup.stale], [0, 0]);
      assert.ok(withWarmup.warmMs !== null && withWarmup.backMs !== null && withWarmup.warmMs <= withWarmup.backMs);
      assert.equal(withoutWarmup.warmMs, null);
      assert.ok((withWarmup.hitRate.after ?? 0) > (withoutWarmup.hitRate.after ?? 1));
      assert.deepEqual(readdirSync(folder.path), []);
      assert.deepEqual([...processesOf(folder.path).values()], []);
    } finally {
      rmSync(folder.path, { recursive: true, force: true });
    }
  },
);

test('interrupted while users read, the failover leaves no process and no folder', { timeout: 120_000 }, async () => {
  const { run, files, processes } = await demoUntil('Users read for', (child) => child.kill('SIGINT'), ['--failover']);
  assert.deepEqual([run.code, files, processes], [130, [], []], run.out + run.err);
});

/** Runs the demo without Kafka in a folder of its own, does `act` once the writer writes, and gives what came of it. */
async function demoUntil(
  moment: string,
  act: (child: RunningCli, folder: string, text: string) => void,
  args: readonly string[] = [],
): Promise<{ readonly run: CliRun; readonly files: string[]; readonly processes: string[] }> {
  const folder = ownTemporaryFolder();
  try {
    let isDone = false;
    let text = '';
    const options = ['demo', '--seconds', '60', '--log', 'redis-streams', ...args];
    const run = await runCli(options, folder.env, (line, child) => {
      text += `${line}\n`;
      if (isDone || !line.includes(moment)) return;
      isDone = true;
      act(child, folder.path, text);
    });
    await eventually('no process is left', () => processesOf(folder.path).size === 0).catch(() => undefined);
    return { run, files: readdirSync(folder.path), processes: [...processesOf(folder.path).values()] };
  } finally {
    for (const pid of processesOf(folder.path).keys()) killIfAlive(Number(pid));
    rmSync(folder.path, { recursive: true, force: true });
  }
}

const SIGNALS = [
  ['SIGINT', 130, 'Postgres:'],
  ['SIGINT', 130, 'Changing rows'],
  ['SIGTERM', 143, 'Changing rows'],
  ['SIGHUP', 129, 'are ready'],
] as const;
for (const [signal, code, moment] of SIGNALS) {
  test(`${signal} after "${moment}" leaves no process and no folder`, { timeout: 120_000 }, async () => {
    const { run, files, processes } = await demoUntil(moment, (child) => child.kill(signal));
    assert.deepEqual([run.code, files, processes], [code, [], []], run.out + run.err);
  });
}

test(
  'a reader that goes away, as head does, ends the demo without a word and without a trace',
  { timeout: 120_000 },
  async () => {
    const { run, files, processes } = await demoUntil('Postgres:', (child) => child.closeOut());
    assert.deepEqual([run.code, files, processes], [141, [], []]);
    assert.equal(run.err, '');
  },
);

test('a demo that is killed outright leaves no process', { timeout: 120_000 }, async () => {
  const { processes } = await demoUntil('Changing rows', (child) => child.kill('SIGKILL'));
  assert.deepEqual(processes, []);
});

const KILLED = {
  relay: (_folder: string, text: string) => Number(/Relay \(pid (\d+)/.exec(text)?.[1]),
  'agent-': (_folder: string, text: string) => Number(/agents \(pids (\d+)/.exec(text)?.[1]),
  Postgres: (folder: string) => {
    const data = readdirSync(folder).find((name) => name.startsWith('afterwrite-postgres-')) ?? '';
    return Number(readFileSync(join(folder, data, 'primary', 'postmaster.pid'), 'utf8').split('\n')[0]);
  },
};
for (const [name, pidOf] of Object.entries(KILLED)) {
  for (const keep of name === 'relay' ? [[], ['--keep', '--seconds', '2']] : [[]]) {
    test(
      `the demo ends with 1 and the reason when ${name} is killed${keep.length > 0 ? ' while it is kept' : ''}`,
      { timeout: 120_000 },
      async () => {
        const moment = keep.length > 0 ? 'goes on running' : 'Changing rows';
        const { run, files, processes } = await demoUntil(
          moment,
          (_child, folder, text) => process.kill(pidOf(folder, text), 'SIGKILL'),
          keep,
        );
        assert.deepEqual([run.code, files, processes], [1, [], []], run.out + run.err);
        assert.match(
          run.err,
          name === 'Postgres'
            ? /STACK_START_FAILED|POSTGRES_/
            : new RegExp(`The ${name}\\w* ended by itself, with 137`),
        );
      },
    );
  }
}

test('what is wrong with servers that are given is said at once, by variable, without a password', async () => {
  const run = await runCli(['demo'], {
    AFTERWRITE_PG_URL: 'localhost',
    AFTERWRITE_KAFKA_BROKERS: 'kafka',
    AFTERWRITE_REDIS_EU: 'redis://app:s3cret@eu',
    AFTERWRITE_REDIS_US: 'redis://app:s3cret@eu',
  });
  assert.equal(run.code, 2);
  for (const name of ['PG_URL', 'KAFKA_BROKERS', 'REDIS_US']) assert.match(run.err, new RegExp(`AFTERWRITE_${name}: `));
  assert.doesNotMatch(run.out + run.err, /s3cret/);
});

test(
  'servers that are given are left as they were, and their passwords are shown nowhere',
  { timeout: 120_000 },
  async () => {
    // A "${" would be read as a variable of the file.
    const password = 's3cret${x}';
    const secured = { requirepass: password, 'notify-keyspace-events': 'Kx' };
    const [postgres, log, ...caches] = await Promise.all([
      startPostgres(),
      startRedis({ settings: { ...LOG_SETTINGS, requirepass: password } }),
      ...['eu', 'us', 'ap'].map(() => startRedis({ settings: secured })),
    ]);
    try {
      const [AFTERWRITE_REDIS_LOG = '', ...urls] = [log, ...caches].map(({ url }) =>
        url.replace('//', `//:${password}@`),
      );
      const [AFTERWRITE_REDIS_EU = '', AFTERWRITE_REDIS_US = '', AFTERWRITE_REDIS_AP = ''] = urls;
      const run = await runCli(['demo', '--seconds', '2', '--log', 'redis-streams'], {
        AFTERWRITE_PG_URL: postgres.url,
        AFTERWRITE_REDIS_LOG,
        AFTERWRITE_REDIS_EU,
        AFTERWRITE_REDIS_US,
        AFTERWRITE_REDIS_AP,
      });
      assert.equal(run.code, 0, run.out + run.err);
      assert.doesNotMatch(run.out + run.err, /s3cret/);
      const sql = await connect(postgres.url, { applicationName: 'test' });
      assert.deepEqual(await sql.query(`select datname from pg_database where datname like 'afterwrite%'`), []);
      assert.deepEqual(await sql.query('select slot_name from pg_replication_slots'), []);
      await sql.close();
      for (const [i, url] of [AFTERWRITE_REDIS_LOG, ...urls].entries()) {
        const redis = await connectRedis(url, { name: 'test' });
        assert.equal(await redis.dbsize(), 0);
        if (i > 0) assert.match((await redis.config('GET', 'notify-keyspace-events')).join(), /,(?:Kx|xK)$/);
        redis.disconnect();
      }
    } finally {
      await Promise.all([postgres, log, ...caches].map((server) => server.stop()));
    }
  },
);
