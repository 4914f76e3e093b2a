import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BusError } from '../../src/protocol/errors.ts';
import { eventually } from '../support/eventually.ts';
import { openLab, TEMPLATE } from './controller-lab.ts';
import type { Access } from './fake-access.ts';
import { NAMESPACE, OWNER_NAME, ROLE } from './installed.ts';

const isCreateJob = ({ verb, resource }: Access): boolean => verb === 'create' && resource === 'jobs';

test('a Job that was made though its answer was lost is not made again', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  lab.api.script(isCreateJob, { kind: 'reset-after' });
  const run = lab.run();
  await eventually(
    'the lost answer was noticed, and the Job found',
    () => run.failures.includes('KUBERNETES_UNREACHABLE') && run.looks > 0,
  );
  assert.equal(lab.jobs().length, 1);
  assert.equal(lab.api.served.filter(isCreateJob).length, 1);
});

test('a connection that breaks before the Job was made is tried again', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  lab.api.script(isCreateJob, { kind: 'reset-before' }, 2);
  lab.run();
  await eventually('the Job is there', () => lab.jobs().length === 1);
});

test('a server that asks to be left alone is left alone', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const fault = { kind: 'status', code: 429, reason: 'TooManyRequests', retryAfterSeconds: 7 } as const;
  lab.api.script(({ verb, resource }) => verb === 'list' && resource === 'jobs', fault);
  const run = lab.run();
  await eventually('the Job is there', () => lab.jobs().length === 1);
  assert.deepEqual(run.failures, ['KUBERNETES_OVERLOADED']);
  const [refused, next] = lab.api.served.filter(({ verb, resource }) => verb === 'list' && resource === 'jobs');
  // Seven seconds by a clock that is ten times as fast.
  assert.ok((next?.atMs ?? 0) - (refused?.atMs ?? 0) >= 700);
});

test('a watch whose history is gone begins anew from a list, and tells of what comes', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run('controller', { timing: { relistMs: 1e9 } });
  await eventually('it watches', () => lab.jobs().length === 1 && lab.api.watches.open === 1);
  // While the watch is away, the Job changes and the history is forgotten.
  const watches = Promise.withResolvers<void>();
  lab.api.script(({ verb }) => verb === 'watch', { kind: 'held', until: watches.promise });
  await lab.api.restart();
  lab.end('warm-eu-e1', 'Failed');
  lab.api.store.compact();
  watches.resolve();
  await eventually('the watch was told', () => run.watchEnds.includes('gone'));
  await eventually('the failure is seen', () => lab.notices('WarmupFailed').length === 1);
});

test('a watch that is dead and does not say so delays a look, and prevents none', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run();
  // The second look is by what the watch tells of the Job.
  await eventually('it watches', () => run.looks >= 2 && lab.api.watches.open === 1);
  lab.api.watches.freeze();
  lab.end('warm-eu-e1', 'Failed');
  await eventually('the failure is seen', () => lab.notices('WarmupFailed').length === 1);
});

test('while the API server is away nothing is done, and when it is back the rest is', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run('controller', { regions: ['eu', 'us'] });
  await eventually('the Job is there', () => lab.jobs().length === 1);
  await lab.api.stop();
  lab.gates.set('us', 'u1', 'COLD');
  await eventually('it was noticed', () => run.failures.includes('KUBERNETES_UNREACHABLE'));
  await lab.api.start();
  await eventually('the other Job is there', () => lab.jobs().length === 2);
  assert.deepEqual(
    lab.jobs().map(({ metadata }) => metadata.name),
    ['warm-eu-e1', 'warm-us-u1'],
  );
  assert.equal(lab.api.served.filter(isCreateJob).length, 2);
});

test('a right that is missing is told of, and once it is given the controller goes on by itself', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run();
  lab.api.addUser(
    'controller',
    ROLE.filter(({ resources }) => !resources.includes('jobs')),
  );
  await eventually('it was told', () => run.failures.includes('KUBERNETES_DENIED'));
  assert.equal(new BusError('KUBERNETES_DENIED', '').retry, 'operator');
  lab.api.addUser('controller', ROLE);
  await eventually('the Job is there', () => lab.jobs().length === 1);
});

test('a field of the template that the server does not know is refused, and told of, rather than dropped', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run('controller', { template: { ...TEMPLATE, spec: { ...TEMPLATE.spec, activeDeadlineSecond: 5 } } });
  await eventually('it was told', () => run.failures.includes('KUBERNETES_OBJECT_INVALID'));
  assert.deepEqual(lab.jobs(), []);
});

test('no Job is made under an owner that is gone: it would be collected at once', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const owner = lab.api.store.get('configmaps', NAMESPACE, OWNER_NAME);
  if (owner !== undefined) lab.api.store.remove('configmaps', owner);
  const run = lab.run();
  await eventually('it was told', () => run.failures.includes('KUBERNETES_OBJECT_MISSING'));
  assert.deepEqual(lab.jobs(), []);
});

test('one region’s refusal keeps no other waiting', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  lab.gates.set('us', 'u1', 'COLD');
  const fault = { kind: 'status', code: 403, reason: 'Forbidden' } as const;
  lab.api.script(isCreateJob, fault);
  lab.run('controller', { regions: ['eu', 'us'], timing: { relistMs: 1e9 } });
  await eventually('both Jobs are there', () => lab.jobs().length === 2);
});

test('where nobody can be told anything, since Events are stored elsewhere and that is away, all else is done', async (t) => {
  const lab = await openLab(t);
  const fault = { kind: 'status', code: 500, reason: 'InternalError' } as const;
  lab.api.script(({ resource }) => resource === 'events', fault, Number.POSITIVE_INFINITY);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run('controller', { regions: ['eu', 'us'], policy: { onFailure: 'open' } });
  await eventually('the first Job is there', () => lab.jobs().length === 1);
  await eventually('it was not told of', () => run.failures.includes('KUBERNETES_FAILED'));
  lab.gates.set('us', 'u1', 'COLD');
  await eventually('the other Job is there', () => lab.jobs().length === 2);
  const looks = run.looks;
  lab.end('warm-eu-e1', 'Failed');
  await eventually('the region is opened', () => lab.gates.opened.length === 1);
  await eventually('the look has come to its end, and its metrics are told', () => run.looks > looks);
  // Where none can be sent, no more are tried in that look: each would be waited for.
  lab.api.unscript();
  await eventually('who can be told is told', () => lab.notices('WarmupStarted').length > 0);
});
