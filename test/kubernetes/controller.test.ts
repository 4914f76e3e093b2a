import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { openLab, TEMPLATE } from './controller-lab.ts';
import type { Access } from './fake-access.ts';
import { OWNER_NAME, PODS_NAMESPACE } from './installed.ts';

const isCreateJob = ({ verb, resource }: Access): boolean => verb === 'create' && resource === 'jobs';

test('a region that is cold gets one Job, by the name of its epoch, with what the warm-up is told', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1f0', 'COLD');
  const template = { ...TEMPLATE, spec: { ...TEMPLATE.spec, ttlSecondsAfterFinished: 5, activeDeadlineSeconds: 77 } };
  lab.run('controller', { shards: 3, template });
  await eventually('the Job is there', () => lab.jobs().length === 1);
  const [job] = lab.jobs();
  assert.equal(job?.metadata.name, 'warm-eu-e1f0');
  assert.equal(job?.metadata.labels?.['afterwrite.dev/region'], 'eu');
  assert.equal(job?.metadata.annotations?.['afterwrite.dev/epoch'], 'e1f0');
  assert.equal(job?.metadata.annotations?.['afterwrite.dev/fencing-token'], '1');
  assert.deepEqual(
    job?.metadata.ownerReferences?.map(({ kind, name }) => [kind, name]),
    [['ConfigMap', OWNER_NAME]],
  );
  const spec = job?.spec as Record<string, unknown>;
  assert.equal(spec['completionMode'], 'Indexed');
  assert.equal(spec['completions'], 3);
  assert.equal(spec['backoffLimitPerIndex'], 3);
  assert.equal(spec['activeDeadlineSeconds'], 77);
  assert.equal(spec['ttlSecondsAfterFinished'], undefined, 'a Job that fails and vanishes would be made anew');
  const [container] = (spec as { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } })
    .template.spec.containers;
  assert.deepEqual(Object.fromEntries(container?.env.map(({ name, value }) => [name, value]) ?? []), {
    AFTERWRITE_BUS: 'shop',
    AFTERWRITE_REGION: 'eu',
    AFTERWRITE_EPOCH: 'e1f0',
    AFTERWRITE_SHARDS: '3',
    AFTERWRITE_FENCING_TOKEN: '1',
  });
  await eventually('somebody is told', () => lab.notices('WarmupStarted').length === 1);
});

test('a region that is warm, that cannot be reached or that has no gate gets none', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('warm', 'e1', 'WARM');
  lab.gates.answer('away', { kind: 'unreachable', why: 'the test says so' });
  const run = lab.run('controller', { regions: ['warm', 'away', 'absent'] });
  await eventually('two looks are made', () => run.looks >= 2);
  assert.deepEqual(lab.jobs(), []);
  assert.deepEqual(run.acts, []);
});

test('a region that begins anew gets another Job, and that of its former epoch goes with its pods', async (t) => {
  const lab = await openLab(t);
  lab.runJobs();
  lab.gates.set('eu', 'e1', 'COLD');
  const template = structuredClone(TEMPLATE);
  template.spec.template.spec.containers[0]!.command = ['sleep', '60'];
  lab.run('controller', { template });
  await eventually('its pod runs', () => lab.api.store.list('pods')[0]?.status?.['phase'] === 'Running');
  lab.gates.set('eu', 'e2', 'COLD');
  await eventually(
    'the new Job alone is there',
    () =>
      lab
        .jobs()
        .map(({ metadata }) => metadata.name)
        .join() === 'warm-eu-e2',
  );
  await eventually('the old pod is gone', () =>
    lab.api.store.list('pods').every(({ metadata }) => metadata.name.startsWith('warm-eu-e2')),
  );
  await eventually('somebody is told', () => lab.notices('WarmupSuperseded').length === 1);
});

test('a Job that has failed stands and is told of once; none is made until somebody deletes it', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'WARMING');
  const run = lab.run('controller', { timing: { relistMs: 500 } });
  await eventually('the Job is there', () => lab.jobs().length === 1);
  const uid = lab.jobs()[0]?.metadata.uid;
  lab.end('warm-eu-e1', 'Failed');
  await eventually('somebody is told', () => lab.notices('WarmupFailed').length === 1);
  const looks = run.looks;
  await eventually('it is looked at again and again', () => run.looks > looks + 3);
  assert.deepEqual(
    lab.jobs().map(({ metadata }) => metadata.uid),
    [uid],
  );
  assert.equal(lab.notices('WarmupFailed').length, 1);
  assert.equal(lab.gates.opened.length, 0);
  assert.equal(lab.api.served.filter(isCreateJob).length, 1);
  const [job] = lab.jobs();
  if (job !== undefined) lab.api.store.remove('jobs', job);
  await eventually('another is made', () => lab.jobs().some(({ metadata }) => metadata.uid !== uid));
});

test('where the policy is to open, a region whose warm-up failed is opened, once, and only that epoch of it', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  lab.run('controller', { policy: { onFailure: 'open' } });
  await eventually('the Job is there', () => lab.jobs().length === 1);
  lab.end('warm-eu-e1', 'Failed');
  await eventually('the gate is opened', () => lab.gates.opened.length === 1);
  assert.deepEqual(lab.gates.opened, [{ region: 'eu', epoch: 'e1' }]);
  await eventually('somebody is told', () => lab.notices('RegionOpened').length === 1);
});

test('a region whose warm-up is complete and whose gate lost the last mark is opened too, where the policy is to', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  lab.run('controller', { policy: { onFailure: 'open' } });
  await eventually('the Job is there', () => lab.jobs().length === 1);
  lab.gates.set('eu', 'e1', 'WARMING', { share: 0.96, admit: 0.5 });
  lab.end('warm-eu-e1', 'Complete', 'CompletionsReached');
  await eventually('the gate is opened', () => lab.gates.opened.length === 1);
  await eventually('somebody is told why', () => lab.notices('WarmupCompleteButCold').length === 1);
  await eventually('and what was done', () => lab.notices('RegionOpened').length === 1);
});

test('nobody is told that a region was opened whose gate had begun anew by then', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run('controller', { policy: { onFailure: 'open' } });
  await eventually('the Job is there', () => lab.jobs().length === 1);
  // Between the look at the gate and the act.
  lab.gates.beforeOpen = () => lab.gates.set('eu', 'e2', 'COLD');
  lab.end('warm-eu-e1', 'Failed');
  await eventually('the next epoch has its Job', () =>
    lab.jobs().some(({ metadata }) => metadata.name === 'warm-eu-e2'),
  );
  assert.deepEqual(lab.gates.opened, []);
  assert.deepEqual(lab.notices('RegionOpened'), []);
  assert.deepEqual(
    run.acts.filter(({ act }) => act.kind === 'open').map(({ outcome }) => outcome),
    ['needless'],
  );
});

test('a Job is given a time to live when its region is warm, and not before', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run('controller', { ttlSeconds: 600 });
  await eventually('the Job is there', () => lab.jobs().length === 1);
  lab.end('warm-eu-e1', 'Complete', 'SuccessPolicy');
  await eventually('somebody is told that it ended too early', () => lab.notices('WarmupCompleteButCold').length === 1);
  assert.equal(lab.jobs()[0]?.spec?.['ttlSecondsAfterFinished'], undefined);
  lab.gates.set('eu', 'e1', 'WARM');
  await eventually('it expires', () => lab.jobs()[0]?.spec?.['ttlSecondsAfterFinished'] === 600);
  const looks = run.looks;
  await eventually('another look', () => run.looks > looks);
  assert.equal(lab.api.served.filter(({ verb, resource }) => verb === 'patch' && resource === 'jobs').length, 1);
});

test('what a watch tells makes a look come at once', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  lab.run('controller', { timing: { relistMs: 1e9 } });
  await eventually('it watches', () => lab.jobs().length === 1 && lab.api.watches.open === 1);
  lab.end('warm-eu-e1', 'Failed');
  await eventually('the failure is seen', () => lab.notices('WarmupFailed').length === 1);
});

test('pods that ask for their region are told whether it takes traffic, and stay as they are where nobody knows', async (t) => {
  const lab = await openLab(t);
  const pod = (name: string, region: string, gates: readonly string[]): void =>
    void lab.api.store.create('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: PODS_NAMESPACE, labels: { 'afterwrite.dev/region': region } },
      spec: { containers: [], readinessGates: gates.map((conditionType) => ({ conditionType })) },
      status: { phase: 'Running', conditions: [{ type: 'Initialized', status: 'True' }] },
    });
  pod('asks', 'eu', ['afterwrite.dev/region-warm']);
  pod('asks-not', 'eu', []);
  pod('elsewhere', 'us', ['afterwrite.dev/region-warm']);
  const condition = (name: string): unknown =>
    (
      (lab.api.store.get('pods', PODS_NAMESPACE, name)?.status?.['conditions'] ?? []) as {
        type: string;
        status: string;
      }[]
    ).find(({ type }) => type === 'afterwrite.dev/region-warm')?.status;
  lab.gates.set('eu', 'e1', 'WARMING', { share: 0.9, admit: 0.5 });
  lab.gates.answer('us', { kind: 'unreachable', why: 'the test says so' });
  const run = lab.run('controller', { regions: ['eu', 'us'], hasPods: true, timing: { relistMs: 500 } });
  await eventually('the region is not admitted', () => condition('asks') === 'False');
  lab.gates.set('eu', 'e1', 'WARM');
  await eventually('the region is admitted', () => condition('asks') === 'True');
  lab.gates.answer('eu', { kind: 'unreachable', why: 'the test says so' });
  const looks = run.looks;
  await eventually('it is looked at again', () => run.looks > looks + 2);
  assert.equal(condition('asks'), 'True');
  assert.equal(condition('asks-not'), undefined);
  assert.equal(condition('elsewhere'), undefined);
  const conditions = lab.api.store.get('pods', PODS_NAMESPACE, 'asks')?.status?.['conditions'] as { type: string }[];
  assert.deepEqual(
    conditions.map(({ type }) => type),
    ['Initialized', 'afterwrite.dev/region-warm'],
  );
});
