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

const allTests = (): string =>
  ['test/**/*.test.ts', 'test/contract/*-contract.ts']
    .flatMap((files) => globSync(files, { cwd: ROOT }))
    .map(read)
    .join('\n');

test('each test that an invariant names exists', () => {
  const tests = allTests();
  const named = [...read('docs/INVARIANTS.md').matchAll(/^ {2}- “(.+)”$/gm)].map(([, name]) => name ?? '');
  assert.ok(named.length >= 20);
  for (const name of named) assert.ok(tests.includes(name), `no test is called “${name}”`);
});

test('each test that a strategy’s page names exists, and so does its file', () => {
  const tests = allTests();
  let named = 0;
  for (const page of globSync('docs/strategies/*.md', { cwd: ROOT })) {
    const said = /^Tests: [^]*?(?=\n\n|$(?![^]))/m.exec(read(page))?.[0] ?? '';
    for (const [, file] of said.matchAll(/`(test\/[^`]+)`/g)) assert.ok(existsSync(ROOT + file), `${page}: ${file}`);
    for (const [, name] of said.matchAll(/“([^”]+)”/g)) {
      // Of a name that is built, or long, the page gives a part.
      for (const part of (name ?? '').replaceAll(/\s+/g, ' ').split('…'))
        assert.ok(tests.includes(part.trim()), `${page}: no test is called “${part}”`);
      named += 1;
    }
  }
  assert.ok(named >= 50, `${named} are named`);
});

test('each strategy of the index has a page and an example, each page and each example a strategy', () => {
  // What several strategies are worth beside one another, measured: the benchmark is its example.
  const measured = ['README.md', 'stampede.md'];
  const rows = read('docs/strategies/README.md')
    .split('\n')
    .filter((line) => line.startsWith('| ') && !line.startsWith('| strategy'));
  const each = rows.map((row) => ({
    row,
    page: /\]\(([\w./-]+\.md)\)/.exec(row)?.[1],
    example: /examples\/([\w-]+)\/example\.ts/.exec(row)?.[1],
  }));
  for (const { row, page, example } of each) assert.ok(page !== undefined && example !== undefined, row);
  const pages = globSync('*.md', { cwd: `${ROOT}docs/strategies` }).filter((page) => !measured.includes(page));
  const known = new Set(each.map(({ page }) => page));
  for (const page of pages) assert.ok(known.has(page), `no strategy of the index has the page ${page}`);
  const examples = globSync('*/example.ts', { cwd: `${ROOT}examples` }).map((file) => file.split('/')[0]);
  assert.deepEqual(new Set(examples), new Set(each.map(({ example }) => example)));
});

test('every link between the documents leads somewhere', () => {
  for (const page of ['README.md', 'src/README.md', 'examples/README.md', ...globSync('docs/**/*.md', { cwd: ROOT })]) {
    for (const [, target] of read(page).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)) {
      const path = fileURLToPath(new URL(target ?? '', new URL(page, `file://${ROOT}`)));
      assert.ok(existsSync(path), `${page} links to ${target}`);
    }
  }
});
