import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KubernetesClient } from '../../src/drivers/kubernetes/client.ts';
import { eventually } from '../support/eventually.ts';
import { type ApiAnswer, type ApiObject, sendTo } from './api-under-test.ts';
import { openLab } from './controller-lab.ts';
import { LEASE, NAMESPACE, OWNER_NAME, PODS_NAMESPACE, ROLE } from './installed.ts';
import { NO_REAL_API, openRealApi } from './real-api.ts';

if (NO_REAL_API === undefined && (process.env['AFTERWRITE_KUBECONFIG'] ?? '') === '')
  test('on a real API server, with no more than its Role, a controller does all that it does', async (t) => {
    const real = await openRealApi();
    t.after(() => real.stop());
    const lab = await openLab(t);
    const connection = await real.connection();
    const namespace = NAMESPACE;
    const send = (
      method: 'GET' | 'POST' | 'PATCH',
      path: string,
      body?: object,
      contentType?: string,
    ): Promise<ApiAnswer> =>
      sendTo(connection, {
        method,
        path,
        ...(body === undefined ? {} : { body }),
        ...(contentType === undefined ? {} : { contentType }),
      });
    const make = async (path: string, body: object): Promise<void> => {
      const { status, body: answer } = await send('POST', path, body);
      assert.equal(status, 201, answer.message);
    };
    const core = `/api/v1/namespaces/${namespace}`;
    const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
    for (const name of [namespace, PODS_NAMESPACE]) {
      await make('/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
      const access = `/apis/rbac.authorization.k8s.io/v1/namespaces/${name}`;
      const rbac = { apiVersion: 'rbac.authorization.k8s.io/v1', metadata: { name: 'controller' } };
      const rules = ROLE.filter((rule) => rule.namespace === name).map(
        ({ apiGroups, resources, resourceNames, verbs }) => ({ apiGroups, resources, resourceNames, verbs }),
      );
      await make(`${access}/roles`, { ...rbac, kind: 'Role', rules });
      await make(`${access}/rolebindings`, {
        ...rbac,
        kind: 'RoleBinding',
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'controller' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'controller' }],
      });
    }
    await make(`${core}/configmaps`, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: OWNER_NAME } });
    const pods = `/api/v1/namespaces/${PODS_NAMESPACE}/pods`;
    await make(pods, {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'app', labels: { 'afterwrite.dev/region': 'eu' } },
      spec: {
        containers: [{ name: 'app', image: 'example.invalid/app' }],
        readinessGates: [{ conditionType: 'afterwrite.dev/region-warm' }],
      },
    });
    const kubeconfig = await real.controllerKubeconfig?.(namespace);
    const client = new KubernetesClient({ kubeconfig });
    t.after(() => client.close());
    const get = async (path: string): Promise<ApiObject> => (await send('GET', path)).body;
    const reasons = async (): Promise<string[]> =>
      ((await get(`/apis/events.k8s.io/v1/namespaces/${namespace}/events`)).items ?? []).map(
        ({ reason }) => reason ?? '',
      );
    const admitted = async (): Promise<string | undefined> =>
      (await get(`${pods}/app`)).status?.conditions?.find(({ type }) => type === 'afterwrite.dev/region-warm')?.status;

    lab.gates.set('eu', 'e1', 'COLD');
    const run = lab.run('controller', { client, shards: 2, hasPods: true, timing: { relistMs: 2000 } });
    await eventually('the Job is there', async () => (await send('GET', `${jobs}/warm-eu-e1`)).status === 200);
    await eventually('the pod is not admitted', async () => (await admitted()) === 'False');
    await eventually('somebody is told', async () => (await reasons()).includes('WarmupStarted'));
    const at = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const condition = (type: string, more: object = {}): object => ({
      type,
      status: 'True',
      lastTransitionTime: at,
      ...more,
    });
    const conditions = [
      condition('FailureTarget'),
      condition('Failed', { reason: 'FailedIndexes', message: 'told by the test.' }),
    ];
    const marked = await send(
      'PATCH',
      `${jobs}/warm-eu-e1/status`,
      { status: { startTime: at, conditions } },
      'application/merge-patch+json',
    );
    assert.equal(marked.status, 200, marked.body.message);
    await eventually('the failure is told', async () => (await reasons()).includes('WarmupFailed'));
    lab.gates.set('eu', 'e1', 'WARM');
    await eventually('the pod is admitted', async () => (await admitted()) === 'True');
    await eventually(
      'the Job expires',
      async () => (await get(`${jobs}/warm-eu-e1`)).spec?.['ttlSecondsAfterFinished'] === 3600,
    );
    lab.gates.set('eu', 'e2', 'COLD');
    await eventually('the next Job alone is there', async () => {
      const { items = [] } = await get(jobs);
      return items.map(({ metadata }) => metadata?.name).join() === 'warm-eu-e2';
    });
    await real.restart?.();
    lab.gates.set('eu', 'e3', 'COLD');
    await eventually(
      'after a restart of the server it goes on',
      async () => {
        const { items = [] } = await get(jobs);
        return items.map(({ metadata }) => metadata?.name).join() === 'warm-eu-e3';
      },
      30_000,
    );
    await run.stop();
    const lease = await get(`/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${LEASE}`);
    assert.equal(lease.spec?.['holderIdentity'], undefined, 'the lease was given back');
    // (Rights count a moment after they are given, and after a restart: a refusal then is no fault.)
    assert.ok(!run.failures.includes('KUBERNETES_OBJECT_INVALID'));
  });
else console.log(NO_REAL_API ?? 'the controller is not run on a server that is not the test’s own');
