import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { ELECTION_TIMING } from '../../src/controller/election.ts';
import { eventually } from '../support/eventually.ts';
import { openLab, TEMPLATE } from './controller-lab.ts';
import { NAMESPACE, ROLE } from './installed.ts';
import { kubeconfigText } from './real-api.ts';

const CHILD = fileURLToPath(new URL('./controller-child.ts', import.meta.url));

test('a leader that is stopped past its lease and goes on does nothing more: another has taken over', async (t) => {
  // Real processes, a real SIGSTOP, and the true timing: this test takes as long as a lease lasts.
  const lab = await openLab(t);
  const template = lab.file(stringify(TEMPLATE));
  const children = new Map<string, { child: ChildProcess; said: string[]; gates: string }>();
  const start = (user: string): void => {
    lab.api.addUser(user, ROLE);
    const gates = lab.file(gate('WARM', 'quiet'));
    const kubeconfig = lab.file(kubeconfigText(lab.api.url, user, NAMESPACE));
    const child = spawn(process.execPath, [CHILD, kubeconfig, user, template, gates], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const said: string[] = [];
    createInterface(child.stdout).on('line', (line) => said.push(line));
    children.set(user, { child, said, gates });
    t.after(() => void child.kill('SIGKILL'));
  };
  const of = (user: string): { child: ChildProcess; said: string[]; gates: string } => {
    const one = children.get(user);
    assert.ok(one !== undefined);
    return one;
  };
  const last = (user: string): string | undefined => of(user).said.at(-1);
  start('a');
  await eventually('a leads', () => last('a') === 'leading');
  start('b');
  await eventually('b follows', () => last('b') === 'following');
  const renewals = (): number[] =>
    lab.api.served.filter(({ user, verb }) => user === 'a' && verb === 'update').map(({ atMs }) => atMs);
  const before = renewals().length;
  await eventually('a has just renewed', () => renewals().length > before);
  of('a').child.kill('SIGSTOP');
  writeFileSync(of('a').gates, gate('COLD', 'a1'));
  // When it goes on, nothing but its own clock tells it: of the lease it hears nothing, and no Job of a later leader is there.
  lab.api.script(
    ({ user, resource }) => user === 'a' && resource === 'leases',
    { kind: 'held', until: lab.closing },
    Number.POSITIVE_INFINITY,
  );
  await eventually('b leads', () => last('b') === 'leading', 40_000);
  const takenMs =
    lab.api.served.find(({ user, verb, resource }) => user === 'b' && verb === 'update' && resource === 'leases')
      ?.atMs ?? 0;
  const renewedMs = renewals().at(-1) ?? 0;
  assert.ok(takenMs - renewedMs >= ELECTION_TIMING.renewDeadlineMs, 'b took over while a could still have acted');
  of('a').child.kill('SIGCONT');
  await eventually('a follows', () => last('a') === 'following');
  const acts = lab.api.served.filter(
    ({ user, resource, verb }) => user === 'a' && resource !== 'leases' && verb !== 'list' && verb !== 'watch',
  );
  assert.deepEqual(acts, [], 'a wrote after its permit had run out');
  assert.deepEqual(lab.jobs(), []);
  writeFileSync(of('b').gates, gate('COLD', 'b1'));
  await eventually(
    'b has made its Job',
    () =>
      lab
        .jobs()
        .map(({ metadata }) => metadata.name)
        .join() === 'warm-eu-b1',
  );
});

function gate(state: string, epoch: string): string {
  return JSON.stringify({ kind: 'gate', epoch, state, share: 0, admit: 0, sinceMs: 0 });
}
