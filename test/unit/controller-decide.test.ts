import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Act } from '../../src/controller/act.ts';
import { decide, isLeftCold, type View } from '../../src/controller/decide.ts';
import { JOB_NAME_MAX, jobName } from '../../src/controller/job-name.ts';
import type { GateAnswer, StandingGate } from '../../src/controller/region-gates.ts';
import type { JobOutcome, WarmupJob } from '../../src/controller/warmup-jobs.ts';

const gate = (state: StandingGate['state'], more: Partial<StandingGate> = {}): GateAnswer => ({
  kind: 'gate',
  epoch: 'e2',
  state,
  share: 0,
  admit: state === 'WARM' ? 1 : 0,
  reason: '',
  sinceMs: 0,
  ...more,
});
const job = (epoch: string, outcome: JobOutcome['kind'], more: Partial<WarmupJob> = {}): WarmupJob => ({
  name: `warm-eu-${epoch}`,
  uid: `uid-${epoch}`,
  version: '1',
  region: 'eu',
  epoch,
  token: 1,
  outcome: outcome === 'failed' ? { kind: 'failed', reason: 'FailedIndexes', message: '' } : { kind: outcome },
  isLeaving: false,
  isExpiring: false,
  ...more,
});
const view = (answer: GateAnswer, ...jobs: WarmupJob[]): View => ({ jobs, gates: new Map([['eu', answer]]) });
const kinds = (acts: readonly Act[]): string[] =>
  acts.map((act) => (act.kind === 'say' ? act.notice.reason : act.kind));

test('each state of a gate beside each state of a Job calls for what the table says', () => {
  const rows: [string, View, string[]][] = [
    ['unreachable', view({ kind: 'unreachable', why: '' }, job('e1', 'failed')), []],
    ['absent', view({ kind: 'absent' }, job('e1', 'going')), []],
    ['cold, none', view(gate('COLD')), ['create']],
    ['warming, none', view(gate('WARMING')), ['create']],
    ['warm, none', view(gate('WARM')), []],
    ['cold, going', view(gate('COLD'), job('e2', 'going')), ['WarmupStarted']],
    ['cold, leaving', view(gate('COLD'), job('e2', 'going', { isLeaving: true })), []],
    ['warming, complete', view(gate('WARMING'), job('e2', 'complete')), ['WarmupCompleteButCold']],
    ['cold, failed', view(gate('COLD'), job('e2', 'failed')), ['WarmupFailed']],
    ['warm, going', view(gate('WARM'), job('e2', 'going')), []],
    ['warm, complete', view(gate('WARM'), job('e2', 'complete')), ['expire']],
    ['warm, expiring', view(gate('WARM'), job('e2', 'complete', { isExpiring: true })), []],
    ['warm, failed', view(gate('WARM'), job('e2', 'failed')), ['expire']],
    ['cold, older', view(gate('COLD'), job('e1', 'going')), ['delete', 'create']],
    ['cold, older leaving', view(gate('COLD'), job('e1', 'going', { isLeaving: true })), ['create']],
    ['warm, older', view(gate('WARM'), job('e1', 'failed')), ['delete']],
    ['another region’s Job', view(gate('WARM'), job('e1', 'failed', { region: 'us' })), []],
  ];
  for (const [name, seen, expected] of rows)
    assert.deepEqual(kinds(decide(seen, { onFailure: 'hold' })), expected, name);
});

test('a warm-up that has ended without warming its region opens it where the policy is to, and only while it is shut', () => {
  for (const [outcome, reason] of [
    ['failed', 'WarmupFailed'],
    ['complete', 'WarmupCompleteButCold'],
  ] as const) {
    const ended = job('e2', outcome);
    assert.deepEqual(kinds(decide(view(gate('COLD'), ended), { onFailure: 'open' })), [reason, 'open']);
    assert.deepEqual(kinds(decide(view(gate('WARMING', { admit: 1 }), ended), { onFailure: 'open' })), [reason]);
  }
});

test('a region is left cold where the Job of its epoch has ended, failed or not, and its gate is not WARM', () => {
  const rows: [GateAnswer, WarmupJob, boolean][] = [
    [gate('COLD'), job('e2', 'going'), false],
    [gate('WARMING'), job('e2', 'failed'), true],
    [gate('WARMING'), job('e2', 'complete'), true],
    [gate('WARM'), job('e2', 'complete'), false],
    [gate('WARMING'), job('e1', 'complete'), false],
    [gate('WARMING'), job('e2', 'complete', { region: 'us' }), false],
    [{ kind: 'unreachable', why: '' }, job('e2', 'complete'), false],
  ];
  for (const [answer, one, expected] of rows)
    assert.equal(isLeftCold('eu', answer, [one]), expected, JSON.stringify([answer, one]));
});

test('a Job’s name is a DNS label with room for an index, and no two regions and epochs share one', () => {
  assert.equal(jobName('eu', 'e1f0'), 'warm-eu-e1f0');
  const pairs: [string, string][] = [
    ['eu', 'e1'],
    ['EU', 'e1'],
    ['eu_1', 'e'],
    ['eu-1', 'e'],
    ['eu', '1-e'],
    ['eu-1-e', ''],
    ['a'.repeat(41), 'b'.repeat(32)],
    ['a'.repeat(41), `${'b'.repeat(31)}c`],
    ['eu', 'e1-'],
    ['é', 'ü'],
  ];
  const names = pairs.map(([region, epoch]) => jobName(region, epoch));
  for (const name of names) {
    assert.match(`${name}-99999`, /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
    assert.ok(name.length <= JOB_NAME_MAX, name);
  }
  assert.equal(new Set(names).size, names.length);
});
