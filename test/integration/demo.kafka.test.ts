import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { runCli } from '../support/cli.ts';

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

for (const moment of ['Postgres:', 'Changing rows'] as const) {
  test(`Ctrl-C after "${moment}" leaves no process and no folder`, { timeout: 120_000 }, async () => {
    const folder = ownTemporaryFolder();
    try {
      let isSent = false;
      const run = await runCli(['demo', '--seconds', '60', '--log', 'redis-streams'], folder.env, (line, kill) => {
        if (isSent || !line.includes(moment)) return;
        isSent = true;
        kill('SIGINT');
      });
      assert.equal(run.code, 130, run.out + run.err);
      await eventually(
        'nothing is left',
        () => readdirSync(folder.path).length === 0 && processesOf(folder.path).size === 0,
      );
    } finally {
      rmSync(folder.path, { recursive: true, force: true });
    }
  });
}

test('a demo that is killed outright leaves no server', { timeout: 120_000 }, async () => {
  const folder = ownTemporaryFolder();
  try {
    await runCli(['demo', '--seconds', '60', '--log', 'redis-streams'], folder.env, (line, kill) => {
      if (line.includes('Changing rows')) kill('SIGKILL');
    });
    await eventually(
      'no server is left',
      () => ![...processesOf(folder.path).values()].some((command) => /postgres|redis/.test(command)),
    );
  } finally {
    for (const pid of processesOf(folder.path).keys()) killIfAlive(Number(pid));
    rmSync(folder.path, { recursive: true, force: true });
  }
});
