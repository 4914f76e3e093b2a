// npm run check: format, lint, types, layers, dead code, and the tests that need no server. A line a step; all steps run, two at a time.
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';

// In one process a kind: a process for each file took a third longer, and the other core has other steps.
const TEST = ['--test', '--test-isolation=none', '--test-reporter=dot'];
const tests = (kind) => [...TEST, ...globSync(`test/${kind}/*.test.ts`).toSorted()];
const steps = [
  ['unit', process.execPath, tests('unit')],
  ['properties', process.execPath, tests('properties')],
  ['simulation', process.execPath, ['scripts/simulate.js', '--seed', '1', '--steps', '1000000', '--workers', '1']],
  ['types', 'tsc', ['--noEmit', '-p', '.']],
  ['lint', 'oxlint', ['--type-aware', 'src', 'test', 'scripts', 'bench', 'examples']],
  ['format', 'oxfmt', ['--check', 'src', 'test', 'scripts', 'bench', 'examples', '!examples/shop']],
  ['layers', 'depcruise', ['--config', '.dependency-cruiser.cjs', 'src', 'test', 'bench', 'examples']],
  ['dead code', 'knip', []],
];

function run([name, command, args]) {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, NO_COLOR: '1' } });
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += chunk));
    child.on('error', (error) => (text += error.message));
    child.on('close', (status) => {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(`${status === 0 ? 'ok  ' : 'FAIL'} ${name.padEnd(10)} ${seconds} s`);
      if (status !== 0) console.log(text);
      resolve(status === 0);
    });
  });
}

const waiting = [...steps];
const results = [];
async function worker() {
  for (let step = waiting.shift(); step !== undefined; step = waiting.shift()) results.push(await run(step));
}
await Promise.all([worker(), worker()]);
process.exit(results.every(Boolean) ? 0 : 1);
