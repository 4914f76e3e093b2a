import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { parse } from 'yaml';
import { FILE_CONFIG_MAP, plainDefaults } from './plain-manifests.ts';
import { keyOf, type Manifest, manifestsOf, ROOT } from './rendered.ts';

const read = (name: string): string => readFileSync(`${ROOT}k8s/${name}`, 'utf8');
const kustomization = parse(read('kustomization.yaml')) as {
  namespace: string;
  resources: string[];
  configMapGenerator: { name: string; files: string[] }[];
  generatorOptions: object;
};
const byKey = (manifests: readonly Manifest[]): Map<string, Manifest> =>
  new Map(manifests.map((one) => [keyOf(one), one]));

test('the plain manifests are the chart’s defaults, object by object, without what is Helm’s own', async () => {
  const chart = byKey(await plainDefaults());
  const ours = byKey(kustomization.resources.flatMap((name) => manifestsOf(read(name))));
  const config = chart.get(`ConfigMap afterwrite/${FILE_CONFIG_MAP}`);
  chart.delete(`ConfigMap afterwrite/${FILE_CONFIG_MAP}`);
  ours.delete('Namespace /afterwrite');
  assert.deepEqual([...ours.keys()].toSorted(), [...chart.keys()].toSorted(), 'node scripts/write-k8s.js writes them');
  for (const [key, manifest] of chart)
    assert.deepEqual(ours.get(key), manifest, `${key}: node scripts/write-k8s.js writes it`);
  assert.deepEqual(config?.['data'], { 'afterwrite.yaml': read('afterwrite.yaml') });
});

test('kustomize is given every file of the folder, and makes the file’s ConfigMap by the name that the pods mount', () => {
  const files = globSync(`${ROOT}k8s/*.yaml`).map((path) => basename(path));
  const given = [...kustomization.resources, ...kustomization.configMapGenerator.flatMap(({ files: own }) => own)];
  assert.deepEqual([...given, 'kustomization.yaml'].toSorted(), files.toSorted());
  assert.deepEqual(kustomization.configMapGenerator, [{ name: FILE_CONFIG_MAP, files: ['afterwrite.yaml'] }]);
  assert.deepEqual(kustomization.generatorOptions, { disableNameSuffixHash: true });
});

test('a namespace of these manifests refuses a pod that does not keep the restricted standard', () => {
  const [namespace] = manifestsOf(read('namespace.yaml'));
  assert.equal(namespace?.metadata.name, kustomization.namespace);
  assert.equal(namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce'], 'restricted');
});
