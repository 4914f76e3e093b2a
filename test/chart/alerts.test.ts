import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { globSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { parse, stringify } from 'yaml';
import { METRICS } from '../../src/protocol/metric-names.ts';
import { findPromtool } from '../../src/stack/promtool.ts';
import { CHART, found, type Manifest, rendered, ROOT } from './rendered.ts';

const run = promisify(execFile);
const TESTS = `${ROOT}test/chart/alerts.promtool.yaml`;

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string; readonly runbook_url: string };
}

const groupsOf = (manifests: readonly Manifest[]): { name: string; rules: Alert[] }[] =>
  (found(manifests, 'PrometheusRule')['spec'] as { groups: { name: string; rules: Alert[] }[] }).groups;

async function alerts(...values: string[]): Promise<Alert[]> {
  return groupsOf(await rendered('newest', ...values)).flatMap(({ rules }) => rules);
}

/** The names of metrics in an expression, with what a histogram adds to its own. */
function metricsIn(expression: string): string[] {
  return [...expression.matchAll(/\bafterwrite_[a-z_]+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ''));
}

test('every alert fires in the situation that it is for, a moment after it and not before, and is silent where all is well', async () => {
  const promtool = await findPromtool((line) => console.log(line));
  const folder = await mkdtemp(join(tmpdir(), 'afterwrite-alerts-'));
  try {
    const groups = groupsOf(await rendered('newest', 'everything.yaml'));
    await writeFile(join(folder, 'rules.yaml'), stringify({ groups }, { lineWidth: 0 }));
    await copyFile(TESTS, join(folder, 'tests.yaml'));
    await run(promtool, ['check', 'rules', 'rules.yaml'], { cwd: folder });
    await run(promtool, ['test', 'rules', 'tests.yaml'], { cwd: folder });
  } catch (error) {
    const { stdout, stderr } = error as { stdout?: string; stderr?: string };
    assert.fail(`${stdout}${stderr}`);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
  // Each has a test in which it fires, and stands among those that are silent.
  const { tests } = parse(readFileSync(TESTS, 'utf8')) as {
    tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[];
  };
  const tried = tests.flatMap(({ alert_rule_test: one }) => one);
  for (const { alert } of await alerts('everything.yaml'))
    for (const fires of [true, false])
      assert.ok(
        tried.some((one) => one.alertname === alert && one.exp_alerts.length > 0 === fires),
        `${alert} has no test in which it ${fires ? 'fires' : 'is silent'}`,
      );
});

test('every alert has a runbook of its name, which says what it means and what to do, and no runbook is of none', async () => {
  const named = [...new Set((await alerts('everything.yaml')).map(({ alert }) => alert))].toSorted();
  const pages = globSync(`${ROOT}docs/runbooks/Afterwrite*.md`).map((path) => basename(path, '.md'));
  assert.deepEqual(pages.toSorted(), named);
  for (const name of named) {
    const page = readFileSync(`${ROOT}docs/runbooks/${name}.md`, 'utf8');
    assert.ok(page.startsWith(`# ${name}\n`), name);
    for (const heading of ['## What it means', '## What to look at', '## What to do'])
      assert.ok(page.includes(`\n${heading}\n`), `${name}: ${heading}`);
  }
  for (const { alert, annotations } of await alerts('everything.yaml'))
    assert.equal(annotations.runbook_url, `https://example.com/runbooks/${alert}.md`);
});

test('alerts are of this release’s series, and of programs that are installed', async () => {
  for (const { alert, expr } of await alerts('everything.yaml'))
    for (const [, labels] of expr.matchAll(/\bafterwrite_[a-z_]+(\{[^}]*\})?/g))
      assert.ok(labels?.startsWith('{namespace="afterwrite",job="shop"'), `${alert}: ${expr}`);
  const names = async (...values: string[]): Promise<string[]> =>
    groupsOf(await rendered('newest', ...values, '--set', 'monitoring.rules.enabled=true')).map(({ name }) => name);
  assert.deepEqual(await names('one-cluster-a-region.yaml'), ['afterwrite-agents', 'afterwrite-controller']);
  assert.deepEqual(await names(), ['afterwrite-relay', 'afterwrite-agents', 'afterwrite-controller']);
});

test('every metric in an alert, in the dashboard, in the scaling and in a runbook is one that the programs have', async () => {
  const manifests = await rendered('newest', 'everything.yaml');
  const scaling = manifests.filter(({ kind }) => kind === 'ScaledObject');
  const texts = [
    ...(await alerts('everything.yaml')).map(({ expr }) => expr),
    readFileSync(`${CHART}/dashboards/afterwrite.json`, 'utf8'),
    JSON.stringify(scaling),
    ...globSync(`${ROOT}docs/runbooks/*.md`).map((path) =>
      readFileSync(path, 'utf8').replaceAll(/afterwrite_(refused|flushed|buffer_behind`)/g, ''),
    ),
  ];
  for (const text of texts) {
    for (const name of metricsIn(text)) assert.ok(name in METRICS, name);
  }
  assert.ok(metricsIn(texts.join('\n')).length > 40);
});

interface Panel {
  readonly title: string;
  readonly type: string;
  readonly description?: string;
  readonly targets?: readonly { readonly expr: string }[];
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
}

test('the dashboard is JSON that Grafana takes: panels that do not lie over each other, each with its question', async () => {
  const manifests = await rendered('newest', 'everything.yaml');
  const map = found(manifests, 'ConfigMap', 'shop-dashboard');
  const dashboard = JSON.parse((map['data'] as Record<string, string>)['afterwrite.json'] ?? '') as {
    uid: string;
    schemaVersion: number;
    panels: Panel[];
    templating: { list: { name: string }[] };
  };
  assert.ok(dashboard.uid !== '' && dashboard.schemaVersion >= 36);
  const variables = dashboard.templating.list.map(({ name }) => name);
  const taken = new Set<string>();
  for (const { title, type, description, targets = [], gridPos } of dashboard.panels) {
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        assert.ok(x < 24 && !taken.has(`${x},${y}`), title);
        taken.add(`${x},${y}`);
      }
    if (type === 'row') continue;
    assert.ok((description ?? '') !== '' && targets.length > 0, title);
    for (const { expr } of targets)
      for (const [, variable] of expr.matchAll(/\$(\w+)/g))
        assert.ok(variables.includes(variable ?? '') || (variable ?? '').startsWith('__'), `${title}: $${variable}`);
  }
  assert.match(map.metadata.labels?.['grafana_dashboard'] ?? '', /1/);
});
