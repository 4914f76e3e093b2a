import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { V1Job } from '@kubernetes/client-node';
import { KubernetesJobs } from '../../src/drivers/kubernetes/jobs.ts';
import { stringify } from 'yaml';
import { eventually } from '../support/eventually.ts';
import { type ControllerLab, openLab, TEMPLATE } from './controller-lab.ts';
import type { Access } from './fake-access.ts';
import { FastClock } from './fast-clock.ts';
import { NAMESPACE, OWNER, ROLE } from './installed.ts';

const HOURS = 3_600_000;
const isOf =
  (user: string) =>
  (request: Access & { readonly user: string }): boolean =>
    request.user === user;
const isJobWrite = ({ verb, resource }: Access): boolean =>
  resource === 'jobs' && ['create', 'delete', 'patch'].includes(verb);

test('of two controllers one leads; when it drains the other does without waiting for its lease, with a higher token', async (t) => {
  const lab = await openLab(t);
  // By time alone b would wait for longer than this test may take.
  const a = lab.run('a', { leaseMs: HOURS });
  await eventually('a leads', () => a.leadership.permit() !== undefined);
  const b = lab.run('b');
  await eventually('b follows', () => b.leadership.heardMs !== undefined);
  assert.equal(b.leadership.permit(), undefined);
  assert.equal(a.leadership.permit()?.token, 1);
  await a.stop();
  assert.equal(a.leadership.permit(), undefined);
  await eventually('b leads', () => b.leadership.permit()?.token === 2);
});

test('a leader that the API server no longer hears stops acting before another begins', async (t) => {
  const lab = await openLab(t);
  const a = lab.run('a');
  await eventually('a leads', () => a.leadership.permit() !== undefined);
  const b = lab.run('b');
  lab.api.script(isOf('a'), { kind: 'held', until: lab.closing }, Number.POSITIVE_INFINITY);
  await eventually('b leads', () => {
    // Whenever b may act, a may not.
    const both = b.leadership.permit() !== undefined && a.leadership.permit() !== undefined;
    assert.ok(!both);
    return b.leadership.permit() !== undefined;
  });
  assert.equal(b.leadership.permit()?.token, 2);
});

test('wall clocks that are hours apart change nothing', async (t) => {
  const lab = await openLab(t);
  const a = lab.run('a', { clock: new FastClock(10, -5 * HOURS) });
  await eventually('a leads', () => a.leadership.permit() !== undefined);
  // By b's wall clock a's lease ended hours ago.
  const b = lab.run('b', { clock: new FastClock(10, 5 * HOURS) });
  const renewals = (): number => lab.api.served.filter(({ verb, user }) => verb === 'update' && user === 'a').length;
  await eventually('a has renewed for longer than a lease lasts', () => renewals() >= 9);
  assert.equal(b.leadership.permit(), undefined);
  assert.ok(a.leadership.permit() !== undefined);
  await a.stop();
  await eventually('b leads', () => b.leadership.permit() !== undefined);
  // And one whose lease seems to be of the future leaves it alone just as well.
  const c = lab.run('c', { clock: new FastClock(10, -50 * HOURS) });
  await eventually('c follows', () => c.leadership.heardMs !== undefined);
  assert.equal(c.leadership.permit(), undefined);
});

test('an API server that restarts costs the leader nothing, and no region a second Job', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'COLD');
  const a = lab.run('a');
  await eventually('the Job is there', () => lab.jobs().length === 1);
  const b = lab.run('b');
  for (let i = 0; i < 3; i++) {
    await lab.api.restart();
    lab.gates.set('eu', `e1${i}`, 'COLD');
    await eventually(
      'the next Job alone is there',
      () =>
        lab
          .jobs()
          .map(({ metadata }) => metadata.name)
          .join() === `warm-eu-e1${i}`,
    );
  }
  assert.equal(a.leadership.permit()?.token, 1);
  assert.equal(b.leadership.permit(), undefined);
  const made = lab.api.served.filter(
    ({ verb, resource, status }) => verb === 'create' && resource === 'jobs' && status === 201,
  );
  assert.equal(made.length, 4);
});

test('a request of a former leader that arrives late makes no second Job', async (t) => {
  const lab = await openLab(t);
  const late = Promise.withResolvers<void>();
  lab.api.script((request) => request.user === 'a' && isJobWrite(request), { kind: 'held', until: late.promise });
  lab.gates.set('eu', 'e1', 'COLD');
  const a = lab.run('a');
  await eventually('a’s request is under way', () =>
    lab.api.served.some((request) => request.user === 'a' && isJobWrite(request)),
  );
  const b = lab.run('b');
  // a stands still from here: nothing of its is heard.
  lab.api.script((request) => request.user === 'a', { kind: 'held', until: lab.closing }, Number.POSITIVE_INFINITY);
  await eventually('b has made the Job', () => lab.jobs().length === 1);
  const uid = lab.jobs()[0]?.metadata.uid;
  assert.equal(lab.jobs()[0]?.metadata.annotations?.['afterwrite.dev/fencing-token'], '2');
  late.resolve();
  await eventually('the late one was refused', () =>
    lab.api.served.some(({ user, status }) => user === 'a' && status === 409),
  );
  assert.deepEqual(
    lab.jobs().map(({ metadata }) => metadata.uid),
    [uid],
  );
  assert.equal(a.leadership.permit(), undefined);
  assert.ok(b.leadership.permit() !== undefined);
});

test('a request whose permit runs out while it is prepared does not leave', async (t) => {
  const lab = await openLab(t);
  lab.api.addUser('a', ROLE);
  const jobs = new KubernetesJobs(lab.client('a'), {
    bus: 'shop',
    shards: 1,
    ttlSeconds: 60,
    templatePath: lab.file(stringify(TEMPLATE)),
    owner: OWNER,
  });
  let remainingMs = 5000;
  const owner = Promise.withResolvers<void>();
  lab.api.script(({ resource }) => resource === 'configmaps', { kind: 'held', until: owner.promise });
  const creating = jobs.create(
    { name: 'warm-eu-e1', region: 'eu', epoch: 'e1' },
    { token: 1, remainingMs: () => remainingMs },
  );
  await eventually('the owner is asked for', () => lab.api.served.length === 1);
  remainingMs = 0;
  owner.resolve();
  await assert.rejects(creating, { code: 'LEADERSHIP_LOST' });
  assert.deepEqual(lab.api.served.filter(isJobWrite), []);
});

test('a lease that somebody deletes is made anew', async (t) => {
  const lab = await openLab(t);
  const a = lab.run('a');
  await eventually('a leads', () => a.leadership.permit() !== undefined);
  const [lease] = lab.api.store.list('leases');
  if (lease !== undefined) lab.api.store.remove('leases', lease);
  await eventually('there is another', () => lab.api.store.list('leases')[0]?.spec?.['holderIdentity'] === 'a');
});

test('a leader that sees a Job of a later leader does nothing by its own term', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e2', 'COLD');
  createJobOf(lab, 'eu', 9);
  const a = lab.run('a');
  await eventually('it has noticed', () => a.failures.includes('LEADERSHIP_LOST'));
  await eventually('the Job of the epoch is there', () =>
    lab.jobs().some(({ metadata }) => metadata.name === 'warm-eu-e2'),
  );
  const [made] = lab.api.served.filter(({ verb, resource }) => verb === 'create' && resource === 'jobs');
  // The lease was written once more before: whoever has been replaced is refused there.
  assert.equal((made?.body as V1Job | undefined)?.metadata?.annotations?.['afterwrite.dev/fencing-token'], '10');
});

test('whoever has been replaced does not get past a Job of the later leader', async (t) => {
  const lab = await openLab(t);
  lab.gates.set('eu', 'e1', 'WARM');
  const a = lab.run('a');
  await eventually('a leads', () => a.leadership.permit() !== undefined);
  // Another has the lease, and a does not know it yet.
  const [lease] = lab.api.store.list('leases');
  if (lease !== undefined)
    lab.api.store.update('leases', { ...lease, spec: { ...lease.spec, holderIdentity: 'z', leaseTransitions: 2 } });
  createJobOf(lab, 'eu', 2);
  lab.gates.set('eu', 'e2', 'COLD');
  await eventually('a follows', () => a.leadership.permit() === undefined);
  assert.deepEqual(lab.api.served.filter(isJobWrite), []);
  assert.equal(lab.api.store.list('leases')[0]?.spec?.['holderIdentity'], 'z');
});

test('a lease that was deleted and begins to count anew stops nobody for ever, and a Job of another release’s region nobody at all', async (t) => {
  const lab = await openLab(t);
  createJobOf(lab, 'eu', 9);
  createJobOf(lab, 'us', 99);
  lab.gates.set('eu', 'e1', 'COLD');
  const a = lab.run('a');
  await eventually('a leads by a higher token', () => a.leadership.permit()?.token === 10);
  await eventually('the next epoch has its Job', () => {
    lab.gates.set('eu', 'e2', 'COLD');
    return lab.jobs().some(({ metadata }) => metadata.name === 'warm-eu-e2');
  });
  await a.stop();
  assert.equal(lab.api.store.list('leases')[0]?.spec?.['leaseTransitions'], 10);
});

/** As a leader with that token has made it. */
function createJobOf(lab: ControllerLab, region: string, token: number): void {
  lab.api.store.create('jobs', {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: {
      name: `warm-${region}-e1`,
      namespace: NAMESPACE,
      labels: { 'app.kubernetes.io/managed-by': 'afterwrite-controller', 'afterwrite.dev/bus': 'shop' },
      annotations: {
        'afterwrite.dev/region': region,
        'afterwrite.dev/epoch': 'e1',
        'afterwrite.dev/fencing-token': String(token),
      },
    },
    spec: {},
  });
}
