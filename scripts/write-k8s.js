// Writes k8s/, the chart's defaults for those who take kustomize: node scripts/write-k8s.js. A test compares the two.
import { globSync, rmSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import { FILE_CONFIG_MAP, plainDefaults } from '../test/chart/plain-manifests.ts';
import { printed, ROOT } from '../test/chart/rendered.ts';

const HEAD =
  '# Written by `node scripts/write-k8s.js` from helm/afterwrite, with its default values: change it there.\n';

const files = new Map();
for (const old of globSync(`${ROOT}k8s/*.yaml`)) if (!old.endsWith('/namespace.yaml')) rmSync(old);
for (const manifest of await plainDefaults()) {
  const { name } = manifest.metadata;
  if (name === FILE_CONFIG_MAP) writeFileSync(`${ROOT}k8s/afterwrite.yaml`, manifest.data['afterwrite.yaml']);
  else {
    const file = `${name.replace(/^afterwrite-?/, '') || 'account'}.yaml`;
    files.set(file, [...(files.get(file) ?? []), manifest]);
  }
}
for (const [file, manifests] of files) writeFileSync(`${ROOT}k8s/${file}`, HEAD + printed(manifests));
const kustomization = {
  apiVersion: 'kustomize.config.k8s.io/v1beta1',
  kind: 'Kustomization',
  namespace: 'afterwrite',
  resources: ['namespace.yaml', ...[...files.keys()].toSorted((a, b) => a.localeCompare(b, 'en'))],
  configMapGenerator: [{ name: FILE_CONFIG_MAP, files: ['afterwrite.yaml'] }],
  // The Job template names this ConfigMap too, in a text, which kustomize does not look into.
  generatorOptions: { disableNameSuffixHash: true },
};
writeFileSync(`${ROOT}k8s/kustomization.yaml`, HEAD + stringify(kustomization, { lineWidth: 0 }));
