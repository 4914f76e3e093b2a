import assert from 'node:assert/strict';
import { existsSync, globSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parse } from 'yaml';
import { HELM, type HelmAge } from '../../src/stack/helm.ts';
import { fieldFaults } from './known-fields.ts';
import { jobOf } from './pods.ts';
import { CHART, helm, printed, rendered, ROOT, template } from './rendered.ts';

const AGES = Object.keys(HELM) as HelmAge[];
/** Files of test/chart/values. */
const CASES = ['defaults', 'one-cluster-a-region', 'everything'];

for (const name of CASES)
  test(`by the values ${name} the chart renders what is written down, on the oldest Helm and on the newest`, async () => {
    const path = `${ROOT}test/chart/golden/${name}.yaml`;
    for (const age of AGES) {
      const text = printed(await rendered(age, `${name}.yaml`));
      if (process.env['UPDATE_GOLDEN'] !== undefined) writeFileSync(path, text);
      assert.ok(existsSync(path), 'UPDATE_GOLDEN=1 writes it');
      assert.equal(
        text,
        readFileSync(path, 'utf8'),
        `${age}: UPDATE_GOLDEN=1 writes it anew, for you to read its diff`,
      );
    }
  });

test('helm lint has nothing to say against the chart', async () => {
  for (const age of AGES)
    for (const name of CASES) {
      const { code, out, err } = await helm(age, 'lint', CHART, '--values', `${ROOT}test/chart/values/${name}.yaml`);
      assert.equal(code, 0, out + err);
      assert.doesNotMatch(out, /\[(WARNING|ERROR)\]/);
    }
});

test('every field of every object, and of the Job in the ConfigMap, is one that Kubernetes knows, of its type', async () => {
  for (const name of CASES)
    for (const manifest of await rendered('newest', `${name}.yaml`)) {
      const job = jobOf(manifest);
      assert.deepEqual([...fieldFaults(manifest), ...(job === undefined ? [] : fieldFaults(job))], []);
    }
  // The check itself finds what it is for.
  const wrong = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, spec: { replica: 1, minReadySeconds: '5' } };
  assert.deepEqual(fieldFaults(wrong), [
    'Deployment.spec.replica: no field of V1DeploymentSpec',
    'Deployment.spec.minReadySeconds: number is expected, not "5"',
  ]);
});

test('the chart brings no CRD, no chart beneath it, and asks the cluster nothing while it renders', () => {
  assert.equal(existsSync(`${CHART}/crds`), false);
  assert.equal(existsSync(`${CHART}/charts`), false);
  for (const path of globSync(`${CHART}/templates/**/*`, { withFileTypes: true }).filter((one) => one.isFile()))
    assert.doesNotMatch(readFileSync(`${path.parentPath}/${path.name}`, 'utf8'), /\blookup\b/, path.name);
  assert.equal(
    (parse(readFileSync(`${CHART}/Chart.yaml`, 'utf8')) as { dependencies?: unknown }).dependencies,
    undefined,
  );
});

test('nothing but namespaced objects is made, and the release’s own namespace is said in each', async () => {
  for (const name of CASES)
    for (const { kind, metadata } of await rendered('newest', `${name}.yaml`)) {
      assert.doesNotMatch(kind, /^Cluster|Secret$|CustomResourceDefinition/);
      assert.ok(metadata.namespace !== undefined, `${kind} ${metadata.name}`);
    }
});

test('a value that the chart does not know, or of another type, is refused by both', async () => {
  for (const [value, message] of [
    ['relay.replica=3', /replica/],
    ['agents.autoscaling.max=3', /max/],
    ['unknown=1', /unknown/],
    ['relay.resources.limits.cpus=1', /cpus/],
    ['agents.tolerations[0].keys=x', /keys/],
    ['agents.affinity.nodeAffinities=x', /nodeAffinities/],
    ['monitoring.rules.enabled=maybe', /enabled/],
    ['settings.httpPort=80', /httpPort/],
    ['regions.EU.agents=2', /EU/],
    ['agents.autoscaling.by=magic', /by/],
    ['variables.values.A-B=1', /A-B/],
  ] as const)
    for (const age of AGES) {
      const { code, err } = await template(age, '--set', value);
      assert.notEqual(code, 0, value);
      assert.match(err, message);
    }
});

test('every object in the schema is closed: it names its fields, or says of what type its values are', () => {
  const open: string[] = [];
  const visit = (node: unknown, at: string): void => {
    if (typeof node !== 'object' || node === null) return;
    const { type, additionalProperties } = node as { type?: unknown; additionalProperties?: unknown };
    if (type === 'object' && (additionalProperties === undefined || additionalProperties === true)) open.push(at);
    for (const [key, one] of Object.entries(node)) visit(one, `${at}/${key}`);
  };
  const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8')) as { $schema: string };
  visit(schema, '');
  // Helm puts a parent chart's globals there, whatever they are.
  assert.deepEqual(open, ['/properties/global']);
  assert.match(schema.$schema, /draft-07/);
});

test('what the values do not fit is refused with what would be right', async () => {
  for (const [values, message] of [
    [['--set', 'regions.us.agents=1'], /regions\.us: the file has no such region; it has eu\./],
    [['--set', 'config.existingConfigMap=mine'], /regions: the file is in a ConfigMap/],
    [['--set', 'probe.enabled=true'], /probe\.family: the file has no family "probe"/],
    [['--set', 'workers.enabled=true'], /workers\.image\.repository/],
    [['--set', 'networkPolicy.enabled=true'], /networkPolicy\.apiServer\.cidrs/],
    [['--set', 'agents.autoscaling.by=keda'], /agents\.autoscaling\.prometheusUrl/],
    [['--set', 'variables.values.AFTERWRITE_HTTP_PORT=x'], /names that begin with AFTERWRITE_/],
    [['--set', 'config.file=a: [b'], /config\.file is no YAML/],
  ] as const)
    for (const age of AGES) {
      const { code, err } = await template(age, ...values);
      assert.notEqual(code, 0, values[1]);
      assert.match(err, message);
    }
});
