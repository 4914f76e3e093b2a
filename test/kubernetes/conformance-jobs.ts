import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ApiAnswer, ApiUnderTest } from './api-under-test.ts';
import { CONTAINER, ConformancePaths, indexedJob } from './conformance-objects.ts';

/** What a Job may be, and what becomes of one that is deleted. */
export function conformsInJobs(api: () => ApiUnderTest): void {
  const paths = new ConformancePaths(api);
  const make = (path: string, body: unknown): Promise<ApiAnswer> => api().send({ method: 'POST', path, body });
  test('takes an Indexed Job with limits an index, a success policy and a pod failure policy', async () => {
    const made = await make(paths.jobs(), indexedJob('whole', {}));
    assert.equal(made.status, 201, made.body.message);
    const { spec } = (await api().send({ method: 'GET', path: paths.jobs('/whole') })).body;
    assert.equal(spec?.['completionMode'], 'Indexed');
    assert.equal(spec?.['backoffLimitPerIndex'], 3);
  });

  test('refuses a Job whose highest index makes no host name', async () => {
    const fits = await make(paths.jobs(), indexedJob('n'.repeat(61), { completions: 2 }));
    assert.equal(fits.status, 201, fits.body.message);
    const tooLong = await make(paths.jobs(), indexedJob('n'.repeat(62), { completions: 2 }));
    assert.deepEqual([tooLong.status, tooLong.body.reason], [422, 'Invalid']);
  });

  test('refuses a pod failure policy where containers are started again', async () => {
    const spec = { template: { spec: { restartPolicy: 'OnFailure', containers: [CONTAINER] } } };
    assert.equal((await make(paths.jobs(), indexedJob('restarts', spec))).status, 422);
  });

  test('refuses a field that it does not know where it is told to, and drops it elsewhere', async () => {
    const misspelt = indexedJob('misspelt', { backofLimit: 1 });
    const strict = await make(`${paths.jobs()}?fieldValidation=Strict`, misspelt);
    assert.equal(strict.status, 400);
    assert.match(strict.body.message ?? '', /unknown field "spec\.backofLimit"/);
    assert.equal((await make(`${paths.jobs()}?fieldValidation=Ignore`, misspelt)).status, 201);
  });

  test('leaves the pods of a deleted Job behind where nothing is said, and not where it is', async () => {
    await make(paths.jobs(), indexedJob('left', {}));
    const said = await api().send({ method: 'DELETE', path: paths.jobs('/left') });
    assert.equal(said.status, 200);
    assert.ok(said.body.metadata?.finalizers?.includes('orphan'), JSON.stringify(said.body));
    await make(paths.jobs(), indexedJob('taken', {}));
    const background = await api().send({
      method: 'DELETE',
      path: paths.jobs('/taken'),
      body: { propagationPolicy: 'Background' },
    });
    assert.equal(background.status, 200);
    assert.ok(!(background.body.metadata?.finalizers ?? []).includes('orphan'));
  });

  test('deletes only the object of the uid that is named', async () => {
    await make(paths.jobs(), indexedJob('other', {}));
    const body = { propagationPolicy: 'Background', preconditions: { uid: '00000000-0000-4000-8000-000000000000' } };
    const refused = await api().send({ method: 'DELETE', path: paths.jobs('/other'), body });
    assert.deepEqual([refused.status, refused.body.reason], [409, 'Conflict']);
  });
}
