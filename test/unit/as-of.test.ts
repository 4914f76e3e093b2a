import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Lsn, lsn } from '../../src/protocol/lsn.ts';
import { AsOfTracker, LOOKS_KEPT_MAX } from '../../src/relay/as-of.ts';

const look = (
  askedAtMs: number,
  flushed: number,
): { askedAtMs: number; flushedLsn: Lsn; snapshot: { xmin: bigint; xmax: bigint; inProgress: Set<bigint> } } => ({
  askedAtMs,
  flushedLsn: lsn(flushed),
  snapshot: { xmin: 0n, xmax: 0n, inProgress: new Set() },
});

test('a look is good from where it saw the log end, and the latest such counts', () => {
  const asOf = new AsOfTracker();
  for (const [at, flushed] of [
    [1000, 50],
    [2000, 70],
    [3000, 90],
  ] as const)
    asOf.looked(look(at, flushed), lsn(100));
  assert.deepEqual(
    [49, 50, 69, 75, 90, 200].map((at) => asOf.at(lsn(at))),
    [0, 1000, 1000, 2000, 3000, 3000],
  );
  asOf.forgetBelow(lsn(75));
  assert.deepEqual([asOf.at(lsn(75)), asOf.at(lsn(95))], [2000, 3000]);
});

test('while nothing is written, each look counts at once', () => {
  const asOf = new AsOfTracker();
  for (const at of [1000, 1001, 1002]) asOf.looked(look(at, 50), lsn(50));
  assert.equal(asOf.at(lsn(50)), 1002);
});

test('a look that is older, or at a log that ends lower, as of a clock or a server that went back, is passed over', () => {
  const asOf = new AsOfTracker();
  asOf.looked(look(2000, 50), lsn(50));
  asOf.looked(look(1000, 60), lsn(60));
  asOf.looked(look(3000, 40), lsn(60));
  assert.equal(asOf.at(lsn(60)), 2000);
});

test('a backlog is measured by a look each quarter of a second, and by no more looks than are kept', () => {
  const asOf = new AsOfTracker();
  const seconds = 2 * (LOOKS_KEPT_MAX / 4);
  for (let ms = 0; ms < seconds * 1000; ms += 50) asOf.looked(look(1 + ms, 1000 + ms), lsn(0));
  assert.equal(asOf.at(lsn(1000 + 10_130)), 10_001);
  const last = asOf.at(lsn(1000 + seconds * 1000));
  assert.equal(last, 1 + (LOOKS_KEPT_MAX - 1) * 250);
  asOf.forgetBelow(lsn(1000 + seconds * 1000));
  asOf.looked(look(seconds * 1000, 2000 + seconds * 1000), lsn(1000 + seconds * 1000));
  assert.equal(asOf.at(lsn(2000 + seconds * 1000)), seconds * 1000, 'what was reached makes room');
});
