import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
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

/** Processes whose command line or environment names the folder. */
function processesOf(folder: string): string[] {
  return readdirSync('/proc').filter((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return false;
    try {
      return existsSync(`/proc/${pid}/cmdline`) && readCommand(pid).includes(folder);
    } catch {
      return false;
    }
  });
}

function readCommand(pid: string): string {
  return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
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
        assert.deepEqual(processesOf(folder.path), []);
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
        () => readdirSync(folder.path).length === 0 && processesOf(folder.path).length === 0,
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
      () => processesOf(folder.path).filter((pid) => /postgres|redis/.test(readCommand(pid))).length === 0,
    );
  } finally {
    for (const pid of processesOf(folder.path)) process.kill(Number(pid), 'SIGKILL');
    rmSync(folder.path, { recursive: true, force: true });
  }
});
