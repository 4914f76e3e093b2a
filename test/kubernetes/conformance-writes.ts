import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiAnswer, ApiUnderTest } from './api-under-test.ts';
import { CONTAINER, ConformancePaths, indexedJob } from './conformance-objects.ts';

/** Versions, times, patches and events. */
export function conformsInWrites(api: () => ApiUnderTest): void {
  const paths = new ConformancePaths(api);
  const make = (path: string, body: unknown): Promise<ApiAnswer> => api().send({ method: 'POST', path, body });
  const lease = (metadata: object, spec: object): object => ({
    apiVersion: 'coordination.k8s.io/v1',
    kind: 'Lease',
    metadata,
    spec,
  });
  const TIME = '2026-01-02T03:04:05.123456Z';

  test('takes a MicroTime with six digits, and no other', async () => {
    const taken = await make(paths.leases(), lease({ name: 'micro' }, { renewTime: TIME, acquireTime: TIME }));
    assert.equal(taken.status, 201);
    for (const renewTime of ['2026-01-02T03:04:05.123Z', '2026-01-02T03:04:05Z']) {
      const refused = await make(paths.leases(), lease({ name: 'micro-not' }, { renewTime }));
      assert.equal(refused.status, 400, renewTime);
      assert.equal(refused.body.reason, 'BadRequest');
    }
  });

  test('refuses a lease of no duration; takes one without a holder', async () => {
    const refused = await make(paths.leases(), lease({ name: 'no-time' }, { leaseDurationSeconds: 0 }));
    assert.equal(refused.status, 422);
    assert.equal(refused.body.reason, 'Invalid');
    const taken = await make(paths.leases(), lease({ name: 'free' }, { leaseDurationSeconds: 1 }));
    assert.equal(taken.status, 201);
  });

  test('of two writes on one version the second is a conflict, and a second create one too', async () => {
    const made = await make(paths.leases(), lease({ name: 'raced' }, { holderIdentity: 'a' }));
    const put = (holderIdentity: string): Promise<ApiAnswer> =>
      api().send({
        method: 'PUT',
        path: paths.leases('/raced'),
        body: lease({ name: 'raced', resourceVersion: made.body.metadata?.resourceVersion }, { holderIdentity }),
      });
    assert.equal((await put('b')).status, 200);
    const late = await put('c');
    assert.equal(late.status, 409);
    assert.equal(late.body.reason, 'Conflict');
    const again = await make(paths.leases(), lease({ name: 'raced' }, { holderIdentity: 'd' }));
    assert.equal(again.status, 409);
    assert.equal(again.body.reason, 'AlreadyExists');
  });

  test('replaces no lease without being told its version', async () => {
    await make(paths.leases(), lease({ name: 'blind' }, { holderIdentity: 'a' }));
    const put = await api().send({ method: 'PUT', path: paths.leases('/blind'), body: lease({ name: 'blind' }, {}) });
    assert.equal(put.status, 422);
  });

  test('what is not there is not found', async () => {
    const { status, body } = await api().send({ method: 'GET', path: paths.leases('/none') });
    assert.deepEqual([status, body.reason], [404, 'NotFound']);
  });

  test('patches as the content type says: JSON Patch wants a list, a merge patch an object', async () => {
    await make(paths.jobs(), indexedJob('patched', {}));
    const patch = { spec: { ttlSecondsAfterFinished: 60 } };
    const send = (contentType: string): Promise<ApiAnswer> =>
      api().send({ method: 'PATCH', path: paths.jobs('/patched'), body: patch, contentType });
    assert.equal((await send('application/json-patch+json')).status, 400);
    assert.equal((await send('application/json')).status, 415);
    const merged = await send('application/merge-patch+json');
    assert.equal(merged.status, 200, merged.body.message);
    assert.equal(merged.body.spec?.['ttlSecondsAfterFinished'], 60);
  });

  test('a patch that names a version is a conflict on another; one that names another uid is invalid', async () => {
    const made = await make(paths.jobs(), indexedJob('uid', {}));
    const patch = (metadata: object, ttlSecondsAfterFinished: number): Promise<ApiAnswer> =>
      api().send({
        method: 'PATCH',
        path: paths.jobs('/uid'),
        body: { metadata, spec: { ttlSecondsAfterFinished } },
        contentType: 'application/merge-patch+json',
      });
    const resourceVersion = made.body.metadata?.resourceVersion;
    assert.equal((await patch({ resourceVersion }, 60)).status, 200);
    const late = await patch({ resourceVersion }, 61);
    assert.deepEqual([late.status, late.body.reason], [409, 'Conflict']);
    const other = await patch({ uid: '00000000-0000-4000-8000-000000000000' }, 62);
    assert.deepEqual([other.status, other.body.reason], [422, 'Invalid']);
  });

  test('a pod’s condition is added to those that it has, by a strategic merge of its status', async () => {
    const made = await make(paths.pods(), {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'app' },
      spec: { containers: [CONTAINER], readinessGates: [{ conditionType: 'afterwrite.dev/region-warm' }] },
    });
    assert.equal(made.status, 201, made.body.message);
    const patch = (type: string, status: string): Promise<ApiAnswer> =>
      api().send({
        method: 'PATCH',
        path: paths.pods('/app/status'),
        body: { status: { conditions: [{ type, status, lastTransitionTime: '2026-01-02T03:04:05Z' }] } },
        contentType: 'application/strategic-merge-patch+json',
      });
    await patch('Initialized', 'True');
    await patch('afterwrite.dev/region-warm', 'False');
    const after = await patch('afterwrite.dev/region-warm', 'True');
    const conditions = (after.body.status?.conditions ?? []).map(({ type, status }) => [type, status]);
    for (const wanted of [
      ['Initialized', 'True'],
      ['afterwrite.dev/region-warm', 'True'],
    ])
      assert.ok(
        conditions.some((one) => one.join() === wanted.join()),
        JSON.stringify(conditions),
      );
  });

  test('an event names its act and its reporter, in so many words', async () => {
    const event = (name: string, more: object): object => ({
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name },
      eventTime: TIME,
      type: 'Normal',
      reason: 'WarmupStarted',
      action: 'Reconcile',
      note: 'a note',
      reportingController: 'afterwrite.dev/controller',
      reportingInstance: 'pod',
      regarding: { apiVersion: 'batch/v1', kind: 'Job', name: 'x', namespace: api().namespace },
      ...more,
    });
    const taken = await make(paths.events(), event('one', {}));
    assert.equal(taken.status, 201, taken.body.message);
    assert.equal((await make(paths.events(), event('one', {}))).status, 409);
    for (const [name, more] of Object.entries({
      action: { action: '' },
      reporter: { reportingController: '' },
      long: { note: 'n'.repeat(1025) },
    }))
      assert.equal((await make(paths.events(), event(`not-${name}`, more))).status, 422, name);
    assert.equal((await make(paths.events(), event('not-time', { eventTime: '2026-01-02T03:04:05Z' }))).status, 400);
  });
}
