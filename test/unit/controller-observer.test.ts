import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observeController } from '../../src/bin/controller-observer.ts';
import type { GateAnswer } from '../../src/controller/region-gates.ts';
import type { WarmupJob } from '../../src/controller/warmup-jobs.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { createLogger } from '../../src/runtime/logger.ts';
import { Metrics } from '../../src/runtime/metrics.ts';

const JOB: WarmupJob = {
  name: 'warm-eu-e1',
  uid: 'u',
  version: '1',
  region: 'eu',
  epoch: 'e1',
  token: 1,
  outcome: { kind: 'complete' },
  isLeaving: false,
  isExpiring: false,
};
const gate = (state: 'WARMING' | 'WARM'): ReadonlyMap<string, GateAnswer> =>
  new Map([['eu', { kind: 'gate', epoch: 'e1', state, share: 0.9, admit: 0.5, reason: '', sinceMs: 0 }]]);

test('the metric of the critical alert is 1 while a region’s Job has ended, complete or failed, and its gate is not WARM', async () => {
  const metrics = new Metrics();
  const observer = observeController(metrics, createLogger('error', {}));
  const line = async (): Promise<string | undefined> =>
    (await metrics.text()).split('\n').find((one) => one.startsWith('afterwrite_controller_warmup_failed{'));
  observer.looked({ gates: gate('WARMING'), jobs: [JOB], seconds: 0 });
  assert.match((await line()) ?? '', / 1$/);
  observer.looked({ gates: gate('WARM'), jobs: [JOB], seconds: 0 });
  assert.match((await line()) ?? '', / 0$/);
});

test('a look that leaves something undone counts as done and as failed: by that the alert on looks is told of an act that fails each time', async () => {
  const metrics = new Metrics();
  const observer = observeController(metrics, createLogger('error', {}));
  observer.looked({ gates: gate('WARM'), jobs: [], seconds: 0, undone: new BusError('KUBERNETES_DENIED', 'no') });
  assert.equal(observer.failure(), 'no');
  observer.looked({ gates: gate('WARM'), jobs: [], seconds: 0 });
  assert.equal(observer.failure(), undefined);
  const text = await metrics.text();
  assert.match(text, /^afterwrite_controller_looks_total\{outcome="done"\} 2$/m);
  assert.match(text, /^afterwrite_controller_looks_total\{outcome="failed"\} 1$/m);
});
