import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import { parse } from 'yaml';
import { podsOf } from './pods.ts';
import { CHART, rendered, ROOT, template } from './rendered.ts';

const page = readFileSync(`${ROOT}docs/INSTALL-KUBERNETES.md`, 'utf8');
const values = parse(readFileSync(`${CHART}/values.yaml`, 'utf8')) as Record<string, unknown>;
/** What each of these has besides, which the page says once. */
const WORKLOADS = ['relay', 'agents', 'workers', 'flush', 'controller', 'warmup', 'probe'];
const OF_EACH = [
  'image',
  'resources',
  'podLabels',
  'podAnnotations',
  'nodeSelector',
  'tolerations',
  'affinity',
  'priorityClassName',
];

function at(path: string): unknown {
  return path.split('.').reduce<unknown>((node, key) => (node as Record<string, unknown> | undefined)?.[key], values);
}

test('every value stands in the manual with its default, and nothing that is none', () => {
  const table = new Map(
    [...page.matchAll(/^\| `([A-Za-z.]+)` \| (.+?) \|/gm)].map(([, path = '', shown = '']) => [path, shown]),
  );
  for (const [path, shown] of table) {
    if (path === 'config.file') continue;
    const [, code = ''] = /^`(.*)`$/.exec(shown) ?? [];
    assert.ok(
      isDeepStrictEqual(parse(code), at(path)),
      `${path} is ${JSON.stringify(at(path))}, and the page says ${shown}`,
    );
  }
  const missing: string[] = [];
  const visit = (node: unknown, path: string): void => {
    if (table.has(path)) return;
    const isMap = typeof node === 'object' && node !== null && !Array.isArray(node) && Object.keys(node).length > 0;
    if (isMap) for (const [key, one] of Object.entries(node)) visit(one, path === '' ? key : `${path}.${key}`);
    else missing.push(path);
  };
  const besides = structuredClone(values);
  for (const name of WORKLOADS) {
    const workload = besides[name] as Record<string, unknown>;
    for (const key of OF_EACH) {
      assert.ok(key in workload, `${name}.${key}`);
      assert.ok(page.includes(`\`${key}\``), key);
      delete workload[key];
    }
  }
  visit(besides, '');
  assert.deepEqual(missing, []);
});

test('the schema knows every value, and each default is one that it takes', async () => {
  const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8')) as { properties: object };
  const { global: _, ...known } = schema.properties as Record<string, { properties?: object }>;
  assert.deepEqual(Object.keys(known).toSorted(), Object.keys(values).toSorted());
  for (const [name, { properties }] of Object.entries(known))
    if (properties !== undefined)
      assert.deepEqual(Object.keys(properties).toSorted(), Object.keys(values[name] as object).toSorted(), name);
  assert.equal((await template('newest')).code, 0);
});

test('the example’s file is installed as it stands: its regions, its variables', async () => {
  const manifests = await rendered('newest', '--set-file', `config.file=${ROOT}examples/shop/afterwrite.yaml`);
  const pods = podsOf(manifests);
  const regions = pods.flatMap(({ labels }) => labels['afterwrite.dev/serves-region'] ?? []);
  assert.deepEqual(regions, ['ap', 'eu', 'us']);
  const names = pods[0]?.spec.containers[0]?.env
    .map(({ name }) => name)
    .filter((name) => !name.startsWith('AFTERWRITE_'));
  assert.deepEqual(names, ['KAFKA_BROKER', 'PG_REPLICA', 'PG_URL', 'REDIS_AP', 'REDIS_EU', 'REDIS_US']);
});

test('the family and the table that the manual gives for `helm test` are those that the probe takes', async () => {
  const [, sql = ''] = /```sql\n(.+?)\n```/s.exec(page) ?? [];
  const [, yaml = ''] = /```yaml\n(.+?)\n```/s.exec(page) ?? [];
  const { families } = parse(yaml) as { families: Record<string, { key: string; on: Record<string, object> }> };
  assert.deepEqual(Object.keys(families), [at('probe.family')]);
  const [table = ''] = Object.keys(families['probe']?.on ?? {});
  assert.match(sql, new RegExp(`create table ${table} \\(id text primary key\\)`));
  const file = `config.file=${yaml.replaceAll(/[,{}"]/g, (c) => `\\${c}`)}\nregions: \\{ eu: \\{\\} \\}`;
  const pods = podsOf(await rendered('newest', '--set', 'probe.enabled=true', '--set', file));
  assert.ok(pods.some(({ owner }) => owner.kind === 'Pod' && owner.metadata.name === 'afterwrite-probe-eu'));
});
