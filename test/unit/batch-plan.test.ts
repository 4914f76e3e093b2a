import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BatchPlan } from '../../src/agent/batch-plan.ts';
import { TAG_MARKS, type Invalidation } from '../../src/protocol/invalidation.ts';
import type { LogRecord } from '../../src/protocol/log-record.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { busConfig, USER } from '../support/bus-config.ts';

const sourceEpoch = { number: 1, systemId: '7', timeline: 1, slotIdentity: 'a', postmasterStartedAtMs: 0 };

/** Of a former source epoch. */
const late: LogRecord = {
  bus: 'shop',
  sourceEpoch,
  from: lsn(0),
  to: lsn(9),
  sentThrough: lsn(0),
  settledPrimary: lsn(0),
  asOfMs: 0,
  transactions: [],
};

function planOf(items: readonly Invalidation[], more: Partial<LogRecord> = {}): BatchPlan {
  const plan = new BatchPlan(
    { config: busConfig([USER]), cells: 4, hasReplicas: false },
    { offset: 0, sourceEpoch, watermark: lsn(0) },
  );
  items.forEach((item, i) => {
    const transactions = [{ commitLsn: lsn(10 + i), committedAtMs: 0, ordinal: 0, items: [item] }];
    const bounds = { from: lsn(0), to: lsn(20 + i), sentThrough: lsn(0), settledPrimary: lsn(0), asOfMs: 0 };
    plan.add(i + 1, { bus: 'shop', sourceEpoch, ...bounds, transactions, ...more }, true);
  });
  return plan;
}

test('however many tags are raised, a cell owes at most one sweep a tag mark, and each mark that was raised is owed', () => {
  const tags = Array.from({ length: 20_000 }, (_, n): Invalidation => ({ scope: 'tag', tag: `org:${n}` }));
  const { marks, sweeps } = planOf(tags).batch();
  assert.ok(sweeps.size <= TAG_MARKS);
  assert.deepEqual(new Set(sweeps.keys()), new Set(marks.map(({ field }) => field)));
  for (const { field, offset } of marks) assert.equal(sweeps.get(field), String(offset), 'owed as of its last raise');
});

test('what a run of records tells of the rules is kept once, as of its last record, and whole wherever it differs', () => {
  const plan = planOf([]);
  const files = [{ user: 'h', gone: 'h' }, { user: 'h' }, { user: 'h' }, { user: 'h', gone: 'h' }];
  files.forEach((families, i) => {
    const bounds = { from: lsn(0), to: lsn(20 + i), sentThrough: lsn(0), settledPrimary: lsn(0), asOfMs: 0 };
    const rules = { partitions: 4, bucketsPerCell: 9, families };
    plan.add(i + 1, { bus: 'shop', sourceEpoch, ...bounds, transactions: [], rules }, true);
    plan.add(i + 1, { bus: 'shop', sourceEpoch, ...bounds, transactions: [] }, true);
  });
  plan.add(5, { ...late, rules: { partitions: 4, bucketsPerCell: 9, families: {} } }, false);
  const told = plan.batch().rules.map(({ families, offset }) => [offset, ...families.keys()]);
  assert.deepEqual(told, [
    [1, 'user', 'gone'],
    [3, 'user'],
    [4, 'user', 'gone'],
  ]);
});

test('a record with rules lets the agent look for sweeps, since only the script knows which rules have changed', () => {
  const notice = { partitions: 4, bucketsPerCell: 9, families: { user: 'h' } };
  assert.equal(planOf([{ scope: 'key', family: 'user', act: 'evict', key: 'user:1' }]).maySweep, false);
  const rules = planOf([{ scope: 'key', family: 'user', act: 'evict', key: 'user:1' }], { rules: notice });
  assert.equal(rules.maySweep, true);
  assert.equal(planOf([{ scope: 'tag', tag: 'org:7' }]).maySweep, true);
});
