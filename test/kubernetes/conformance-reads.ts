import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiAnswer, ApiRequest, ApiUnderTest } from './api-under-test.ts';
import { ConformancePaths, indexedJob } from './conformance-objects.ts';

/** Lists, watches, and who may do what. */
export function conformsInReads(api: () => ApiUnderTest): void {
  const paths = new ConformancePaths(api);
  const make = (path: string, body: unknown): Promise<ApiAnswer> => api().send({ method: 'POST', path, body });
  test('lists by labels, in pages', async () => {
    for (const at of ['a', 'b', 'c'])
      await make(paths.maps(), {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name: `page-${at}`, labels: { set: 'pages' } },
      });
    await make(paths.maps(), {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'page-d', labels: { set: 'no' } },
    });
    const get = (query: string): Promise<ApiAnswer> => api().send({ method: 'GET', path: `${paths.maps()}?${query}` });
    const first = await get('labelSelector=set%3Dpages&limit=2');
    assert.equal(first.body.items?.length, 2);
    const next = encodeURIComponent(first.body.metadata?.continue ?? '');
    const second = await get(`labelSelector=set%3Dpages&limit=2&continue=${next}`);
    assert.deepEqual(
      second.body.items?.map(({ metadata }) => metadata?.name),
      ['page-c'],
    );
  });

  test('a watch tells what has happened since a version, in order, and what was deleted', async () => {
    const list = await api().send({ method: 'GET', path: paths.maps() });
    const from = list.body.metadata?.resourceVersion ?? '';
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'watched', labels: { set: 'watched' } } };
    await make(paths.maps(), map);
    await api().send({ method: 'PUT', path: paths.maps('/watched'), body: { ...map, data: { a: 'b' } } });
    await api().send({ method: 'DELETE', path: paths.maps('/watched') });
    const { status, lines } = await api().watch(
      `${paths.maps()}?watch=true&resourceVersion=${from}&labelSelector=set%3Dwatched&timeoutSeconds=10`,
      (seen) => seen.some(({ type }) => type === 'DELETED'),
    );
    assert.equal(status, 200);
    assert.deepEqual(
      lines.map(({ type }) => type),
      ['ADDED', 'MODIFIED', 'DELETED'],
    );
    const versions = lines.map(({ object }) => Number(object.metadata?.resourceVersion));
    assert.deepEqual(
      versions,
      versions.toSorted((a, b) => a - b),
    );
  });

  test('a watch from a history that is gone says so: 410, as its answer or in its stream', async (t) => {
    const made = await make(paths.maps(), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'old' } });
    const from = made.body.metadata?.resourceVersion ?? '';
    for (let i = 0; i < 3; i++)
      await api().send({
        method: 'PATCH',
        path: paths.maps('/old'),
        body: { data: { i: String(i) } },
        contentType: 'application/merge-patch+json',
      });
    if (!(await api().compact())) return t.skip('this server cannot be asked to forget');
    const { status, lines } = await api().watch(
      `${paths.maps()}?watch=true&resourceVersion=${from}&timeoutSeconds=10`,
      (seen) => seen.length > 0,
    );
    const code = status === 200 ? lines[0]?.object.code : status;
    assert.equal(code, 410, JSON.stringify(lines));
    if (status === 200) assert.equal(lines[0]?.type, 'ERROR');
  });

  test('allows what a Role names, and nothing beyond', async () => {
    const rules = [
      { apiGroups: ['batch'], resources: ['jobs'], verbs: ['list', 'create'] },
      { apiGroups: [''], resources: ['configmaps'], resourceNames: ['mine'], verbs: ['get', 'create'] },
    ];
    const map = (name: string): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } });
    for (const name of ['mine', 'yours']) await make(paths.maps(), map(name));
    const as = async (method: ApiRequest['method'], path: string, body?: unknown): Promise<number> =>
      (await api().sendAs(rules, { method, path, ...(body === undefined ? {} : { body }) })).status;
    assert.equal(await as('GET', paths.jobs()), 200);
    assert.equal(await as('POST', paths.jobs(), indexedJob('allowed', {})), 201);
    assert.equal(await as('GET', paths.jobs('/allowed')), 403);
    assert.equal(await as('GET', `${paths.jobs()}?watch=true&timeoutSeconds=1`), 403);
    assert.equal(await as('DELETE', paths.jobs('/allowed')), 403);
    assert.equal(await as('GET', paths.maps('/mine')), 200);
    assert.equal(await as('GET', paths.maps('/yours')), 403);
    assert.equal(await as('GET', paths.maps()), 403);
    // A create names nothing in its path, so a rule with names never allows it.
    assert.equal(await as('POST', paths.maps(), map('mine')), 403);
    assert.equal(await as('GET', paths.leases()), 403);
  });
}
