import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ROLE } from '../kubernetes/installed.ts';
import { found, type Manifest, rendered } from './rendered.ts';

interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly verbs: readonly string[];
}

/** Each right in one line, whatever rules they stand in. Names are those of each release: that there are some is what counts. */
function rights(rules: readonly Rule[]): string[] {
  return rules
    .flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
      apiGroups.flatMap((group) =>
        resources.flatMap((resource) =>
          verbs.map((verb) => `${verb} ${group}/${resource}${resourceNames === undefined ? '' : ' by name'}`),
        ),
      ),
    )
    .toSorted();
}

const rulesOf = (manifests: readonly Manifest[]): Rule[] =>
  manifests.flatMap(({ kind, ...rest }) => (kind === 'Role' ? (rest['rules'] as Rule[]) : []));

const ofPods = (rule: Rule): boolean => rule.resources.some((name) => name.startsWith('pods'));

test('of pods the controller may see and do nothing where none wait for their region; else it may just what its own tests use', async () => {
  const [without, withPods] = [
    rulesOf(await rendered('newest')),
    rulesOf(await rendered('newest', 'one-cluster-a-region.yaml')),
  ];
  assert.deepEqual(rights(without), rights(ROLE.filter((rule) => !ofPods(rule))));
  assert.deepEqual(rights(withPods), rights(ROLE));
});

test('a Role names the lease and the owner that the controller is told of', async () => {
  const manifests = await rendered('newest', 'one-cluster-a-region.yaml');
  const controller = found(manifests, 'Deployment', 'afterwrite-controller');
  const [container] = (
    controller['spec'] as { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } }
  ).template.spec.containers;
  const value = (name: string): string | undefined => container?.env.find((one) => one.name === name)?.value;
  const named = rulesOf(manifests).flatMap(({ resources, resourceNames = [] }) =>
    resourceNames.map((name) => `${resources[0]}/${name}`),
  );
  assert.deepEqual(named, [
    `leases/${value('AFTERWRITE_LEASE')}`,
    value('AFTERWRITE_OWNER')?.replace('configmap/', 'configmaps/'),
  ]);
  assert.ok(
    manifests.some(({ kind, metadata }) => `${kind}/${metadata.name}`.toLowerCase() === value('AFTERWRITE_OWNER')),
  );
});

test('rights are bound to the controller’s account alone; those of pods in the application’s namespace, and nowhere else', async () => {
  for (const values of ['defaults.yaml', 'one-cluster-a-region.yaml', 'everything.yaml']) {
    const manifests = await rendered('newest', values);
    for (const { kind, metadata, ...rest } of manifests) {
      if (kind !== 'RoleBinding') continue;
      const { roleRef, subjects } = rest as unknown as { roleRef: object; subjects: { name: string }[] };
      assert.deepEqual(roleRef, { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: metadata.name });
      assert.deepEqual(
        subjects.map(({ name }) => name),
        [metadata.name.replace(/-pods$/, '')],
      );
    }
    for (const { kind, metadata, ...rest } of manifests)
      if (kind === 'Role' && (rest['rules'] as Rule[]).some(ofPods)) assert.equal(metadata.namespace, 'shop');
  }
});

test('a policy lets names be asked for where a cluster answers them: another port, or an address of the node', async () => {
  const dnsOf = async (...values: string[]): Promise<unknown> => {
    const set = values.flatMap((value) => ['--set', value]);
    const manifests = await rendered('newest', 'everything.yaml', ...set);
    return (found(manifests, 'NetworkPolicy', 'shop')['spec'] as { egress: unknown[] }).egress[0];
  };
  const both = (port: number): object[] => ['UDP', 'TCP'].map((protocol) => ({ port, protocol }));
  const pods = (namespace: string): object => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
    podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
  });
  assert.deepEqual(await dnsOf(), { to: [pods('kube-system')], ports: both(53) });
  // OpenShift's pods listen to 5353, and a policy is asked after the Service's port has become the pod's.
  assert.deepEqual(await dnsOf('networkPolicy.dns.namespace=openshift-dns', 'networkPolicy.dns.ports={5353}'), {
    to: [pods('openshift-dns')],
    ports: both(5353),
  });
  // NodeLocal DNSCache answers in the network of the node, where no selector of pods finds it.
  assert.deepEqual(await dnsOf('networkPolicy.dns.cidrs={169.254.20.10/32}'), {
    to: [pods('kube-system'), { ipBlock: { cidr: '169.254.20.10/32' } }],
    ports: both(53),
  });
});
