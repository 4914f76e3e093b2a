import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually } from '../support/eventually.ts';
import { type ControllerLab, openLab } from './controller-lab.ts';
import type { ControllerRun } from './controller-run.ts';
import { allows, type GrantedRule } from './fake-access.ts';
import type { ServedRequest } from './fake-api.ts';
import { PODS_NAMESPACE, ROLE } from './installed.ts';

interface Right {
  readonly verb: string;
  readonly resource: string;
}

const RIGHTS: readonly Right[] = ROLE.flatMap(({ verbs, resources }) =>
  verbs.flatMap((verb) => resources.map((resource) => ({ verb, resource }))),
);

const isOf =
  ({ verb, resource }: Right) =>
  (request: ServedRequest): boolean =>
    request.verb === verb && request.resource === resource;

test('the controller does all that it does by the rights that the chart gives it, and each of them is used', async (t) => {
  const lab = await openLab(t);
  await everything(lab, begin(lab));
  const refused = lab.api.served.filter(({ status }) => status === 403);
  assert.deepEqual(
    refused.map(({ verb, resource }) => `${verb} ${resource}`),
    [],
  );
  for (const right of RIGHTS)
    for (const rule of ROLE.filter((one) => one.verbs.includes(right.verb) && one.resources.includes(right.resource)))
      assert.ok(
        lab.api.served.some((request) => isOf(right)(request) && request.status > 0 && allows(rule, request)),
        `the chart allows "${right.verb} ${right.resource}", which nothing has used`,
      );
});

for (const right of RIGHTS)
  test(`without the right to ${right.verb} ${right.resource} it says that it was refused, and does not do all before it is given it`, async (t) => {
    const lab = await openLab(t);
    const run = begin(lab, without(right));
    let isDone = false;
    const all = everything(lab, run).then(() => (isDone = true));
    await eventually('it was refused and says so', () => lab.api.served.some(isRefused(right)) && isDenied(run));
    assert.ok(!isDone);
    lab.api.addUser(run.user, ROLE);
    await all;
  });

/** Looks only where it has cause: what a watch does not tell of is not seen by chance. */
function begin(lab: ControllerLab, rules: readonly GrantedRule[] = ROLE): ControllerRun {
  lab.api.store.create('pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'app', namespace: PODS_NAMESPACE, labels: { 'afterwrite.dev/region': 'eu' } },
    spec: { containers: [], readinessGates: [{ conditionType: 'afterwrite.dev/region-warm' }] },
    status: { phase: 'Running' },
  });
  lab.gates.set('eu', 'e1', 'COLD');
  return lab.run('controller', { rules, hasPods: true, timing: { relistMs: 1e9 } });
}

/** A region’s life, as far as the controller has a part in it. */
async function everything(lab: ControllerLab, run: ControllerRun): Promise<void> {
  const admitted = (): string | undefined =>
    (
      (lab.api.store.get('pods', PODS_NAMESPACE, 'app')?.status?.['conditions'] ?? []) as {
        type: string;
        status: string;
      }[]
    ).find(({ type }) => type === 'afterwrite.dev/region-warm')?.status;
  const names = (): string =>
    lab
      .jobs()
      .map(({ metadata }) => metadata.name)
      .join();
  await eventually('a cold region has a Job', () => names() === 'warm-eu-e1');
  await eventually('somebody is told of it', () => lab.notices('WarmupStarted').length === 1);
  await eventually('its pods take no traffic', () => admitted() === 'False');
  await eventually('it watches', () => lab.api.watches.open === 1);
  lab.end('warm-eu-e1', 'Failed');
  await eventually('somebody is told that it failed', () => lab.notices('WarmupFailed').length === 1);
  lab.gates.set('eu', 'e1', 'WARM');
  await eventually('its pods take traffic', () => admitted() === 'True');
  await eventually('the Job of a warm region ends', () => lab.jobs()[0]?.spec?.['ttlSecondsAfterFinished'] === 3600);
  lab.gates.set('eu', 'e2', 'COLD');
  await eventually('the Job of the next epoch alone is there', () => names() === 'warm-eu-e2');
  const renewed = isOf({ verb: 'update', resource: 'leases' });
  await eventually('it has renewed its lease', () =>
    lab.api.served.some((request) => renewed(request) && request.status === 200),
  );
  await run.stop();
  assert.equal(lab.api.store.list('leases')[0]?.spec?.['holderIdentity'], undefined, 'it gave its lease back');
}

function isRefused(right: Right): (request: ServedRequest) => boolean {
  return (request) => isOf(right)(request) && request.status === 403;
}

function isDenied({ failures, watchEnds }: ControllerRun): boolean {
  return failures.includes('KUBERNETES_DENIED') || watchEnds.includes('failed');
}

function without({ verb, resource }: Right): GrantedRule[] {
  return ROLE.map((rule) =>
    rule.resources.includes(resource) ? { ...rule, verbs: rule.verbs.filter((one) => one !== verb) } : rule,
  );
}
