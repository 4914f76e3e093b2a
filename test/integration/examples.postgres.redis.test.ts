import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const EXAMPLES = fileURLToPath(new URL('../../examples/', import.meta.url));

interface Report {
  readonly ok: boolean;
  readonly examples: readonly {
    readonly name: string;
    readonly ok: boolean;
    readonly seconds: number;
    readonly error?: string;
  }[];
}

function run(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [`${EXAMPLES}run.ts`, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const text = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (part: string) => (text.out += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (text.err += part));
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, ...text }));
  });
}

test('every example shows on real servers what its strategy promises', { timeout: 290_000 }, async (t) => {
  const { code, out, err } = await run('--json');
  const report = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as Report;
  for (const { name, ok, error } of report.examples) await t.test(name, () => assert.ok(ok, `${error}\n${err}`));
  assert.deepEqual([report.ok, code], [true, 0], err);
  const folders = globSync('*/example.ts', { cwd: EXAMPLES }).map((file) => dirname(file));
  assert.deepEqual(
    report.examples.map(({ name }) => name),
    folders.toSorted(),
  );
});

test('an example that is not there is a wrong command line, and nothing is started', async () => {
  const { code, out, err } = await run('--only', 'tags,nope');
  assert.equal(code, 2);
  assert.match(err, /no example "nope"\. There are: .*tags/);
  assert.equal(out, '');
});
