import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CONTROLLER_TIMING } from '../../src/controller/controller.ts';
import { ELECTION_TIMING } from '../../src/controller/election.ts';
import { eventually } from '../support/eventually.ts';
import { type ControllerLab, openLab, type RunOptions } from './controller-lab.ts';
import type { ControllerRun } from './controller-run.ts';
import type { Access } from './fake-access.ts';
import type { Fault } from './fake-api.ts';
import { FastClock } from './fast-clock.ts';
import { PODS_NAMESPACE } from './installed.ts';

const REFUSED: Fault = { kind: 'status', code: 422, reason: 'Invalid' };
const WEBHOOK: Fault = { kind: 'status', code: 500, reason: 'InternalError' };

const isOf =
  (verb: string, resource: string, ...names: string[]) =>
  (access: Access): boolean =>
    access.verb === verb && access.resource === resource && (names.length === 0 || names.includes(access.name ?? ''));

/** Regions whose old Job cannot be deleted, each time it is tried, and `last`, which is warm. */
async function begin(
  lab: ControllerLab,
  stuck: readonly string[],
  fault: Fault,
  options: RunOptions = {},
): Promise<ControllerRun> {
  for (const region of stuck) lab.gates.set(region, 'e1', 'COLD');
  lab.gates.set('last', 'l1', 'WARM');
  const run = lab.run('controller', { regions: [...stuck, 'last'], ...options });
  await eventually('each has its Job', () => lab.jobs().length === stuck.length);
  const names = stuck.map((region) => `warm-${region}-e1`);
  lab.api.script(isOf('delete', 'jobs', ...names), fault, Number.POSITIVE_INFINITY);
  for (const region of stuck) lab.gates.set(region, 'e2', 'COLD');
  return run;
}

const names = (lab: ControllerLab): string[] => lab.jobs().map(({ metadata }) => metadata.name);
const failedActs = (run: ControllerRun): number => run.acts.filter(({ outcome }) => outcome === 'failed').length;

/** Remembers how long it was asked to wait. */
class WaitClock extends FastClock {
  readonly waitsMs: number[] = [];
  override sleep(ms: number, signal: AbortSignal): Promise<void> {
    this.waitsMs.push(ms);
    return super.sleep(ms, signal);
  }
}

test('an act that is refused each time is left alone longer and longer, and the gates are read as often as ever', async (t) => {
  const lab = await openLab(t);
  const clock = new WaitClock(20);
  const run = await begin(lab, ['eu'], REFUSED, { clock, random: () => 0.99 });
  await eventually('it was refused six times', () => failedActs(run) >= 6);
  lab.gates.set('last', 'l2', 'COLD');
  await eventually('another region has its Job', () => names(lab).includes('warm-last-l2'));
  assert.ok(failedActs(run) < run.looks, 'not each look tries it');
  // Whoever waits longer than for the next reading of the gates would see none turn cold meanwhile. (The election’s waits are drawn out a little.)
  const longestMs = Math.max(...clock.waitsMs);
  assert.ok(longestMs <= Math.max(CONTROLLER_TIMING.gateMs, 2 * ELECTION_TIMING.retryMs), `it waited for ${longestMs}`);
});

test('while something is refused each look says so, tried in it or not, and the controller has not looked with success', async (t) => {
  const lab = await openLab(t);
  const run = await begin(lab, ['eu'], REFUSED, { timing: { relistMs: 300 }, random: () => 0.99 });
  await eventually('it was refused', () => failedActs(run) >= 3);
  const { lookedMs } = run.controller;
  const [failures, looks] = [run.failures.length, run.looks];
  await eventually('several looks later', () => run.looks >= looks + 4);
  assert.ok(run.failures.length - failures >= run.looks - looks - 1);
  assert.equal(run.controller.lookedMs, lookedMs);
  lab.api.unscript();
  await eventually('it has, once that is over', () => run.controller.lookedMs !== lookedMs);
});

for (const stuck of [['eu'], ['eu', 'us'], ['eu', 'us', 'ap']])
  test(`an admission webhook that fails for ${stuck.length} regions keeps no other region waiting`, async (t) => {
    const lab = await openLab(t);
    const run = await begin(lab, stuck, WEBHOOK);
    await eventually('it failed', () => failedActs(run) >= stuck.length);
    lab.gates.set('last', 'l2', 'COLD');
    await eventually('another region has its Job', () => names(lab).includes('warm-last-l2'));
    for (const region of stuck)
      await eventually('and so has each, of its new epoch', () => names(lab).includes(`warm-${region}-e2`));
    assert.ok(stuck.every((region) => names(lab).includes(`warm-${region}-e1`)));
  });

test('an act that is never answered keeps no other region waiting', async (t) => {
  const lab = await openLab(t);
  const run = await begin(lab, ['eu'], { kind: 'held', until: lab.closing });
  await eventually('it was given up', () => failedActs(run) >= 1);
  lab.gates.set('last', 'l2', 'COLD');
  await eventually('another region has its Job', () => names(lab).includes('warm-last-l2'));
});

test('where the pods cannot be listed a cold region is warmed nevertheless, and somebody is told of its Job', async (t) => {
  const lab = await openLab(t);
  lab.api.script(isOf('list', 'pods'), { kind: 'status', code: 403, reason: 'Forbidden' }, Number.POSITIVE_INFINITY);
  lab.gates.set('eu', 'e1', 'COLD');
  const run = lab.run('controller', { hasPods: true });
  await eventually('its Job is there', () => names(lab).includes('warm-eu-e1'));
  await eventually('it was told', () => lab.notices('WarmupStarted').length === 1);
  await eventually('the refusal is told as well', () => run.failures.includes('KUBERNETES_DENIED'));
});

test('pods whose conditions an admission webhook refuses keep no other pod, no region and no notice waiting', async (t) => {
  const lab = await openLab(t);
  const broken = ['a', 'b', 'c', 'd'];
  for (const name of [...broken, 'z'])
    lab.api.store.create('pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: PODS_NAMESPACE, labels: { 'afterwrite.dev/region': 'eu' } },
      spec: { containers: [], readinessGates: [{ conditionType: 'afterwrite.dev/region-warm' }] },
      status: {},
    });
  lab.api.script(isOf('patch', 'pods/status', ...broken), WEBHOOK, Number.POSITIVE_INFINITY);
  lab.gates.set('eu', 'e1', 'WARM');
  const run = lab.run('controller', { regions: ['eu', 'us'], hasPods: true });
  await eventually('the last pod is admitted', () =>
    run.acts.some(({ act, outcome }) => act.kind === 'admit' && act.pod.name === 'z' && outcome === 'done'),
  );
  lab.gates.set('us', 'u1', 'COLD');
  await eventually('a region that turns cold has its Job', () => names(lab).includes('warm-us-u1'));
  await eventually('somebody is told of it', () => lab.notices('WarmupStarted').length === 1);
});
