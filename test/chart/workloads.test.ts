import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'yaml';
import { podsOf } from './pods.ts';
import { CHART, found, helm, manifestsOf, rendered, ROOT } from './rendered.ts';

test('a region is served by a Deployment of its own, which is never below its size in a rollout', async () => {
  const manifests = await rendered('newest', 'everything.yaml');
  const agents = manifests.filter(
    ({ kind, metadata }) => kind === 'Deployment' && metadata.name.startsWith('shop-agent-'),
  );
  assert.deepEqual(
    agents.map(({ metadata }) => metadata.name),
    ['shop-agent-eu', 'shop-agent-us-east'],
  );
  for (const { kind, metadata, ...rest } of manifests) {
    if (kind !== 'Deployment') continue;
    const { strategy } = rest['spec'] as { strategy: { rollingUpdate: object } };
    assert.deepEqual(strategy.rollingUpdate, { maxSurge: 1, maxUnavailable: 0 }, metadata.name);
  }
});

test('no more agents are asked for than a region has cells, by number or by scaling', async () => {
  const sizes = async (...values: string[]): Promise<unknown[]> =>
    (await rendered('newest', ...values))
      .filter(({ metadata }) => metadata.name.includes('-agent-'))
      .flatMap(({ kind, ...rest }): unknown[] => {
        const spec = rest['spec'] as Record<string, number>;
        if (kind === 'Deployment') return [spec['replicas']];
        if (kind === 'HorizontalPodAutoscaler') return [[spec['minReplicas'], spec['maxReplicas']]];
        return kind === 'ScaledObject' ? [[spec['minReplicaCount'], spec['maxReplicaCount']]] : [];
      });
  assert.deepEqual(await sizes('one-cluster-a-region.yaml'), [undefined, [4, 48]]);
  assert.deepEqual(await sizes('everything.yaml'), [undefined, undefined, [2, 4], [2, 4]]);
  assert.deepEqual(await sizes('everything.yaml', '--set', 'agents.autoscaling.by=none'), [2, 4]);
});

test('a pod is found by its own Deployment, budget and Service, and by no other’s', async () => {
  const manifests = await rendered('newest', 'everything.yaml');
  const pods = podsOf(manifests);
  const finds = (selector: object, labels: object): boolean =>
    Object.entries(selector).every(([name, value]) => (labels as Record<string, string>)[name] === value);
  for (const { kind, metadata, ...rest } of manifests) {
    const { selector } = (rest['spec'] ?? {}) as { selector?: { matchLabels?: object } };
    if (selector === undefined || kind === 'PodMonitor') continue;
    const labels = selector.matchLabels ?? selector;
    assert.equal(pods.filter((pod) => finds(labels, pod.labels)).length, 1, `${kind} ${metadata.name}`);
  }
  // The application's label, by which the controller finds pods that wait for their region.
  for (const { labels } of pods) assert.equal('afterwrite.dev/region' in labels, false);
});

test('what an application’s worker runs is its own image, with a place to write', async () => {
  const worker = podsOf(await rendered('newest', 'everything.yaml')).find(
    ({ labels }) => labels['app.kubernetes.io/component'] === 'worker',
  );
  const [container] = worker?.spec.containers ?? [];
  assert.equal(container?.image, 'registry.example/shop:42');
  assert.deepEqual(container?.args, ['worker', 'loaders/index.js', '--region', 'eu']);
  assert.ok(container?.volumeMounts.some(({ mountPath }) => mountPath === '/tmp'));
});

test('a changed file starts the pods anew, and a changed Job template does not', async () => {
  const hashes = async (...values: string[]): Promise<string> => {
    const manifests = await rendered('newest', ...values);
    return JSON.stringify(manifests.filter(({ kind }) => kind === 'Deployment'));
  };
  const before = await hashes();
  assert.equal(await hashes('--set', 'warmup.retries=9'), before);
  assert.notEqual(await hashes('--set', 'config.file=regions: { eu: { redis: x } }'), before);
});

test('the file in the ConfigMap is the user’s, unchanged', async () => {
  const manifests = await rendered('newest', 'everything.yaml');
  const map = found(manifests, 'ConfigMap', 'shop-config');
  const { 'afterwrite.yaml': text } = map['data'] as { 'afterwrite.yaml': string };
  assert.match(text, /url: \$\{PG_URL\} \}/);
  assert.match(text, /\$\$\{NOT_A_VARIABLE\}/);
  assert.ok('buffers' in (parse(text.replaceAll(/\$\{\w+\}/g, 'x')) as object));
});

test('a region, a release and a namespace may be called as they like: by YAML 1.1 `no` is false, and 1e3 a number', async () => {
  for (const age of ['oldest', 'newest'] as const) {
    const { code, out, err } = await helm(
      ...([age, 'template', '1e3', CHART, '-n', '007', '--kube-version', '1.31.0'] as const),
      '--values',
      `${ROOT}test/chart/values/odd-names.yaml`,
    );
    assert.equal(code, 0, err);
    const manifests = manifestsOf(out);
    const agents = podsOf(manifests).filter(({ labels }) => labels['app.kubernetes.io/component'] === 'agent');
    assert.deepEqual(
      agents.map(({ spec }) => spec.containers[0]?.args),
      [
        ['agent', '--region', 'e__'],
        ['agent', '--region', 'no'],
        ['agent', '--region', 'null'],
      ],
    );
    for (const { kind, metadata, ...rest } of manifests) {
      for (const text of [metadata.name, metadata.namespace, ...Object.values(metadata.labels ?? {})]) {
        assert.equal(typeof text, 'string', `${kind} ${metadata.name}`);
        assert.match(text ?? '', /^[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, `${kind} ${metadata.name}`);
      }
      const { selector } = (rest['spec'] ?? {}) as { selector?: { matchLabels?: object } };
      for (const text of Object.values(selector?.matchLabels ?? selector ?? {}))
        assert.equal(typeof text, 'string', `${kind} ${metadata.name}`);
    }
    for (const { spec } of podsOf(manifests))
      for (const { name, value } of spec.containers[0]?.env ?? []) {
        assert.equal(typeof name, 'string');
        assert.ok(value === undefined || typeof value === 'string', name);
      }
  }
});

test('a region may have no agents and no workers of its own', async () => {
  const manifests = await rendered(
    ...(['newest', 'everything.yaml', '--set', 'agents.autoscaling.by=none'] as const),
    ...(['--set', 'regions.eu.agents=0', '--set', 'regions.eu.workers=0'] as const),
  );
  for (const name of ['shop-agent-eu', 'shop-worker-eu'])
    assert.equal((found(manifests, 'Deployment', name)['spec'] as { replicas: number }).replicas, 0, name);
});
