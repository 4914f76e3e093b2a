import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { EVENTS } from '../../src/client/events.ts';
import { DEFAULT_LIMITS } from '../../src/client/options.ts';
import { METRICS } from '../../src/protocol/metric-names.ts';
import { SETTINGS } from '../../src/runtime/settings.ts';
import { ERRORS } from '../../src/protocol/errors.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(ROOT + path, 'utf8');

test('the page of errors has every code with its hint, and none that is not in the table', () => {
  const page = read('docs/ERRORS.md');
  const codes = [...page.matchAll(/^## (\w+)$/gm)].map(([, code]) => code);
  assert.deepEqual(new Set(codes), new Set(Object.keys(ERRORS)), 'node scripts/write-manual.js writes it');
  for (const { summary, hint } of Object.values(ERRORS))
    assert.ok(
      page.includes(summary) && page.includes(hint),
      `${summary} is out of date: node scripts/write-manual.js writes it`,
    );
});

test('every metric and every setting stands in the operator’s manual', () => {
  const page = read('docs/OPERATING.md');
  for (const name of [...Object.keys(METRICS), ...Object.keys(SETTINGS)])
    assert.ok(page.includes(`\`${name}\``), `${name} is missing`);
});

test('every option of the client with its default, and every event, stands in the client’s manual', () => {
  const page = read('docs/CLIENT.md');
  for (const [name, value] of Object.entries(DEFAULT_LIMITS))
    assert.ok(new RegExp(`\\| \`${name}\` +\\| ${value.toLocaleString('en')} +\\|`).test(page), `${name} is missing`);
  for (const [code, text] of Object.entries(EVENTS))
    assert.ok(page.includes(`\`${code}\``) && page.includes(text), `${code} is missing`);
});

test('each test that an invariant names exists', () => {
  const tests = ['test/**/*.test.ts', 'test/contract/*-contract.ts']
    .flatMap((files) => globSync(files, { cwd: ROOT }))
    .map(read)
    .join('\n');
  const named = [...read('docs/INVARIANTS.md').matchAll(/^ {2}- “(.+)”$/gm)].map(([, name]) => name ?? '');
  assert.ok(named.length >= 20);
  for (const name of named) assert.ok(tests.includes(name), `no test is called “${name}”`);
});

test('every link between the documents leads somewhere', () => {
  for (const page of ['README.md', 'src/README.md', ...globSync('docs/**/*.md', { cwd: ROOT })]) {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      const path = fileURLToPath(new URL(target ?? '', new URL(page, `file://${ROOT}`)));
      assert.ok(existsSync(path), `${page} links to ${target}`);
    }
  }
});
