import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lsn } from '../../src/protocol/lsn.ts';
import { AsOfTracker, LOOKS_KEPT_MAX } from '../../src/relay/as-of.ts';
import type { SourceLook } from '../../src/relay/from-postgres.ts';

const look = (askedAtMs: number, flushed: number): SourceLook => ({ askedAtMs, flushedLsn: lsn(flushed) });

test('a look is good from where it saw the log end, and the latest such counts', () => {
  const asOf = new AsOfTracker();
  for (const [at, flushed] of [
    [1000, 50],
    [2000, 70],
    [3000, 90],
  ] as const)
    asOf.looked(look(at, flushed));
  assert.deepEqual(
    [49, 50, 69, 75, 90, 200].map((at) => asOf.at(lsn(at))),
    [0, 1000, 1000, 2000, 3000, 3000],
  );
  asOf.forgetBelow(lsn(75));
  assert.deepEqual([asOf.at(lsn(75)), asOf.at(lsn(95))], [2000, 3000]);
});

test('while nothing is written, each look counts at once', () => {
  const asOf = new AsOfTracker();
  for (const at of [1000, 1001, 1002]) asOf.looked(look(at, 50));
  assert.equal(asOf.at(lsn(50)), 1002);
});

test('a look that is older, or at a log that ends lower, as of a clock or a server that went back, is passed over', () => {
  const asOf = new AsOfTracker();
  asOf.looked(look(2000, 50));
  asOf.looked(look(1000, 60));
  asOf.looked(look(3000, 40));
  assert.equal(asOf.at(lsn(60)), 2000);
});

test('a backlog is measured by each look at it, but by no more than are kept', () => {
  const asOf = new AsOfTracker();
  const end = 2 * LOOKS_KEPT_MAX;
  for (let i = 0; i < end; i++) asOf.looked(look(1 + i, 1000 + i));
  assert.equal(asOf.at(lsn(1000 + 130)), 131);
  assert.equal(asOf.at(lsn(1000 + end)), LOOKS_KEPT_MAX);
  asOf.forgetBelow(lsn(1000 + end));
  asOf.looked(look(1 + end, 1000 + end));
  assert.equal(asOf.at(lsn(1000 + end)), 1 + end, 'what was reached makes room');
});
