import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type ApiConnection, sendTo } from '../kubernetes/api-under-test.ts';
import { NO_REAL_API, openRealApi, type RealApi } from '../kubernetes/real-api.ts';
import { jobOf, podsOf } from './pods.ts';
import { type Manifest, rendered } from './rendered.ts';

/** Where an object of a kind is made. What is not here is of an operator that is not there. */
const PATHS: Readonly<Record<string, string>> = {
  ConfigMap: '/api/v1/namespaces/N/configmaps',
  Deployment: '/apis/apps/v1/namespaces/N/deployments',
  HorizontalPodAutoscaler: '/apis/autoscaling/v2/namespaces/N/horizontalpodautoscalers',
  Job: '/apis/batch/v1/namespaces/N/jobs',
  NetworkPolicy: '/apis/networking.k8s.io/v1/namespaces/N/networkpolicies',
  Pod: '/api/v1/namespaces/N/pods',
  PodDisruptionBudget: '/apis/policy/v1/namespaces/N/poddisruptionbudgets',
  Role: '/apis/rbac.authorization.k8s.io/v1/namespaces/N/roles',
  RoleBinding: '/apis/rbac.authorization.k8s.io/v1/namespaces/N/rolebindings',
  Service: '/api/v1/namespaces/N/services',
  ServiceAccount: '/api/v1/namespaces/N/serviceaccounts',
};

if (NO_REAL_API === undefined) {
  let api: RealApi;
  let connection: ApiConnection;

  before(async () => {
    api = await openRealApi();
    connection = await api.connection();
  });

  after(() => api.stop());

  const make = async (namespace: string, manifest: Manifest): Promise<void> => {
    const path = PATHS[manifest.kind]?.replace('/N/', `/${namespace}/`);
    assert.ok(path !== undefined, manifest.kind);
    const answer = await sendTo(connection, {
      method: 'POST',
      path: `${path}?fieldValidation=Strict`,
      body: { ...manifest, metadata: { ...manifest.metadata, namespace } },
    });
    assert.equal(answer.status, 201, `${manifest.kind} ${manifest.metadata.name}: ${JSON.stringify(answer.body)}`);
  };

  for (const values of ['defaults.yaml', 'one-cluster-a-region.yaml', 'everything.yaml'])
    test(`a real API server takes every object of ${values}, and every pod in a namespace that enforces the restricted standard`, async () => {
      const namespace = `chart-${randomBytes(4).toString('hex')}`;
      const made = await sendTo(connection, {
        method: 'POST',
        path: '/api/v1/namespaces',
        body: {
          apiVersion: 'v1',
          kind: 'Namespace',
          metadata: { name: namespace, labels: { 'pod-security.kubernetes.io/enforce': 'restricted' } },
        },
      });
      assert.equal(made.status, 201);
      const manifests = await rendered('newest', values);
      for (const manifest of manifests) {
        if (/monitoring\.coreos\.com|keda\.sh/.test(manifest.apiVersion)) continue;
        await make(namespace, manifest);
        const job = jobOf(manifest);
        if (job !== undefined) await make(namespace, withController(job));
      }
      for (const [index, { labels, spec }] of podsOf(manifests).entries())
        await make(namespace, {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: `pod-${index}`, labels },
          spec,
        });
      const bad = { ...podsOf(manifests)[0]?.spec, securityContext: {} };
      await assert.rejects(
        make(namespace, { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'bad' }, spec: bad }),
        /violates PodSecurity/,
      );
      await sendTo(connection, { method: 'DELETE', path: `/api/v1/namespaces/${namespace}` });
    });
} else console.log(NO_REAL_API);

/** What the controller adds, so far as the API server asks for it. */
function withController(job: Manifest): Manifest {
  return {
    ...job,
    metadata: { ...job.metadata, name: 'warm-eu-0123456789abcdef' },
    spec: { ...(job['spec'] as object), completionMode: 'Indexed', completions: 8 },
  };
}
