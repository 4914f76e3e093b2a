import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lsn } from '../../src/protocol/lsn.ts';
import { isVisible, type Snapshot, widenXid } from '../../src/protocol/snapshot.ts';
import { SettleTracker } from '../../src/relay/settle.ts';

/** Decodes transactions, lets them become visible in a random order, observes after each, and compares with the definition. */
function checkRuns(observe: (tracker: SettleTracker, snapshot: Snapshot) => void): void {
  fc.assert(
    fc.property(fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8], { minLength: 8 }), fc.nat(8), (order, looks) => {
      const tracker = new SettleTracker(lsn(5));
      for (let n = 1; n <= 8; n++) tracker.decoded(1000 + n, lsn(n * 10));
      const visible = new Set<number>();
      for (const [index, n] of order.entries()) {
        visible.add(n);
        if (index % 8 > looks) continue;
        const inProgress = new Set(
          [1, 2, 3, 4, 5, 6, 7, 8].filter((m) => !visible.has(m)).map((m) => BigInt(1000 + m)),
        );
        observe(tracker, { xmin: 1001n, xmax: 1009n, inProgress });
        let run = 0;
        while (visible.has(run + 1)) run += 1;
        assert.equal(tracker.settled, run === 0 ? lsn(5) : lsn(run * 10));
      }
    }),
  );
}

test('settled is the end of the longest run of decoded transactions that a snapshot shows, in any order of becoming visible', () => {
  checkRuns((tracker, snapshot) => tracker.observe(snapshot));
});

test('the property sees a tracker that takes what is decoded, or all but the oldest of what runs, for visible', () => {
  assert.throws(() => checkRuns((tracker, snapshot) => tracker.observe({ ...snapshot, inProgress: new Set() })));
  assert.throws(() =>
    checkRuns((tracker, snapshot) => {
      const [, ...others] = snapshot.inProgress;
      tracker.observe({ ...snapshot, inProgress: new Set(others) });
    }),
  );
});

test('what is decoded is not taken for visible', () => {
  const tracker = new SettleTracker(lsn(5));
  tracker.decoded(1001, lsn(10));
  tracker.decodedThrough(lsn(50));
  assert.equal(tracker.settled, lsn(5));
  tracker.observe({ xmin: 1001n, xmax: 1001n, inProgress: new Set() });
  assert.equal(tracker.settled, lsn(5));
  tracker.observe({ xmin: 1002n, xmax: 1002n, inProgress: new Set() });
  assert.equal(tracker.settled, lsn(50));
});

test('an idle source is settled to the end of what is decoded', () => {
  const tracker = new SettleTracker(lsn(5));
  tracker.decodedThrough(lsn(40));
  assert.equal(tracker.settled, lsn(40));
  assert.equal(tracker.isWaiting, false);
});

test('in a new source epoch nothing is settled before every transaction older than it has ended', () => {
  const tracker = new SettleTracker(lsn(5), 1005n);
  assert.equal(tracker.settled, lsn(0));
  tracker.decodedThrough(lsn(40));
  tracker.observe({ xmin: 1005n, xmax: 1010n, inProgress: new Set([1005n]) });
  assert.equal(tracker.settled, lsn(0));
  tracker.observe({ xmin: 1006n, xmax: 1010n, inProgress: new Set([1006n]) });
  assert.equal(tracker.settled, lsn(40));
});

test('a transaction id of 32 bits is widened to the nearest of 64', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 1n << 31n, max: 1n << 50n }),
      fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
      (near, distance) => {
        const xid = near + BigInt(distance);
        assert.equal(widenXid(Number(BigInt.asUintN(32, xid)), near), xid);
      },
    ),
  );
});

test('a snapshot shows what ended before it and nothing else', () => {
  const snapshot = { xmin: 10n, xmax: 15n, inProgress: new Set([10n, 12n]) };
  const shown = [9n, 10n, 11n, 12n, 14n, 15n, 16n].filter((xid) => isVisible(snapshot, xid));
  assert.deepEqual(shown, [9n, 11n, 14n]);
});
