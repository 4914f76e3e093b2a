import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { type ControllerLab, openLab, TEMPLATE } from './controller-lab.ts';
import type { KubeObject } from './fake-store.ts';

/** A template whose container runs this in a shell. */
function shell(script: string, spec: object = {}): object {
  const container = { ...TEMPLATE.spec.template.spec.containers[0], command: ['sh', '-c', script] };
  return { ...TEMPLATE, spec: { ...spec, template: { spec: { containers: [container] } } } };
}

const condition = (lab: ControllerLab): string | undefined =>
  (lab.jobs()[0]?.status?.['conditions'] as { type: string; reason: string }[] | undefined)?.map(
    ({ type, reason }) => `${type}/${reason}`,
  )[0];
const pods = (lab: ControllerLab): KubeObject[] => lab.api.store.list('pods');
const indexes = (lab: ControllerLab): (string | undefined)[] =>
  pods(lab).map(({ metadata }) => metadata.annotations?.['batch.kubernetes.io/job-completion-index']);

test('a warm-up runs as a process for each shard, knows which it is, and its Job is complete when all have ended well', async (t) => {
  const lab = await openLab(t);
  lab.runJobs();
  const out = lab.file('');
  lab.gates.set('eu', 'e1', 'COLD');
  lab.run('controller', {
    shards: 2,
    template: shell(`echo "$AFTERWRITE_REGION $AFTERWRITE_EPOCH $JOB_COMPLETION_INDEX/$AFTERWRITE_SHARDS" >> ${out}`),
  });
  await eventually('the Job is complete', () => condition(lab) === 'Complete/SuccessPolicy');
  assert.deepEqual(readFileSync(out, 'utf8').trim().split('\n').toSorted(), ['eu e1 0/2', 'eu e1 1/2']);
});

test('exit 42 ends its shard for good and lets the others go on; the Job has failed', async (t) => {
  const lab = await openLab(t);
  lab.runJobs();
  lab.gates.set('eu', 'e1', 'COLD');
  lab.run('controller', { shards: 2, template: shell('[ $JOB_COMPLETION_INDEX = 0 ] && exit 42; exit 0') });
  await eventually('the Job has failed', () => condition(lab) === 'Failed/FailedIndexes');
  assert.deepEqual(indexes(lab), ['0', '1'], 'no shard was tried again');
  await eventually('somebody is told', () => lab.notices('WarmupFailed').length === 1);
});

test('exit 43 ends the whole Job at once, since its epoch is over', async (t) => {
  const lab = await openLab(t);
  lab.runJobs();
  lab.gates.set('eu', 'e1', 'COLD');
  lab.run('controller', { shards: 2, template: shell('[ $JOB_COMPLETION_INDEX = 0 ] && exit 43; exec sleep 60') });
  await eventually('the Job has failed', () => condition(lab) === 'Failed/PodFailurePolicy');
  await eventually('the other shard was ended', () => pods(lab).every(({ status }) => status?.['phase'] !== 'Running'));
});

test('another exit is tried again, as often as an index may fail', async (t) => {
  const lab = await openLab(t);
  lab.runJobs();
  lab.gates.set('eu', 'e1', 'COLD');
  lab.run('controller', { template: shell('exit 1', { backoffLimitPerIndex: 2 }) });
  await eventually('the Job has failed', () => condition(lab) === 'Failed/FailedIndexes');
  assert.deepEqual(indexes(lab), ['0', '0', '0']);
});

test('a pod that is disrupted counts as no failure, and is replaced', async (t) => {
  const lab = await openLab(t);
  const kubelet = lab.runJobs();
  lab.gates.set('eu', 'e1', 'COLD');
  lab.run('controller', { template: shell('exec sleep 60', { backoffLimitPerIndex: 0 }) });
  for (const ended of [0, 1]) {
    await eventually('a pod runs', () => pods(lab).some(({ status }) => status?.['phase'] === 'Running'));
    const running = pods(lab).find(({ status }) => status?.['phase'] === 'Running');
    if (running !== undefined) kubelet.disrupt(running);
    await eventually(
      'it has ended',
      () => pods(lab).filter(({ status }) => status?.['phase'] === 'Failed').length === ended + 1,
    );
  }
  await eventually('a third runs', () => pods(lab).length === 3);
  assert.equal(condition(lab), undefined);
});

test('a disrupted pod that says 43 is believed', async (t) => {
  const lab = await openLab(t);
  const kubelet = lab.runJobs();
  lab.gates.set('eu', 'e1', 'COLD');
  const ready = lab.file('');
  lab.run('controller', {
    template: shell(`trap "exit 43" TERM; echo ready > ${ready}; while :; do sleep 0.05; done`),
  });
  await eventually('its trap is set', () => readFileSync(ready, 'utf8') !== '');
  const [pod] = pods(lab);
  if (pod !== undefined) kubelet.disrupt(pod);
  await eventually('the Job has failed', () => condition(lab) === 'Failed/PodFailurePolicy');
});
