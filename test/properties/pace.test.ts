import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BATCH_FIRST, type PaceLimits } from '../../src/warmup/pace.ts';
import { meanKeys, runPace, type SimulatedDatabase } from '../support/simulated-database.ts';
import { seeded } from '../support/seeded.ts';

// Method: a database that is a formula. It works on some statements side by side; more of them share it, so that each takes longer: the knee is where they are as many.
const LIMITS: PaceLimits = { concurrencyMin: 1, concurrencyMax: 16, batchMax: 400, latencyMaxMs: 1000 };
const DATABASE: SimulatedDatabase = { workers: 4, statementMs: 1, keyMs: 0.05 };

/** Numbers in [0, 1). */
function chance(seed: number): () => number {
  const whole = seeded(seed);
  return () => whole(1_000_000) / 1_000_000;
}

test('begins with a small statement at a time, and raises nothing before the baseline is measured', () => {
  const moments = runPace(LIMITS, DATABASE, 1000);
  assert.ok(moments.slice(0, 7).every(({ underWay, batch }) => underWay === 1 && batch === BATCH_FIRST));
  assert.ok(moments.some(({ batch }) => batch === 400));
});

test('comes near the knee and stays there, whatever the database’s size and the noise', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), fc.integer(), (workers, seed) => {
      const moments = runPace(LIMITS, { ...DATABASE, workers, random: chance(seed) }, 60_000);
      const statements = meanKeys(moments, 20_000, 60_000) / 400;
      assert.ok(statements > workers * 0.6 && statements < workers * 2.1, `${statements} at a knee of ${workers}`);
    }),
    { numRuns: 30 },
  );
});

test('backs off while the latency is doubled and more, and recovers after it', () => {
  const slow = (nowMs: number): number => (nowMs > 20_000 && nowMs < 26_000 ? 4 : 1);
  const moments = runPace(LIMITS, { ...DATABASE, slowness: slow, random: chance(7) }, 60_000);
  const [before, during, after] = [
    meanKeys(moments, 12_000, 20_000),
    meanKeys(moments, 23_000, 26_000),
    meanKeys(moments, 45_000, 60_000),
  ];
  assert.ok(during < before / 4, `${before} before, ${during} during`);
  assert.ok(after > before * 0.7, `${before} before, ${after} after`);
});

test('where no connection is to be had it asks less and less often, and goes on by itself when there is', () => {
  const isFull = (nowMs: number): boolean => nowMs > 5000 && nowMs < 25_000;
  const moments = runPace(LIMITS, { ...DATABASE, refuses: isFull }, 60_000);
  const asked = moments.filter(({ atMs }) => isFull(atMs));
  assert.ok(asked.length < 30, `${asked.length} statements in 20 s without a connection`);
  assert.ok(meanKeys(moments, 50_000, 60_000) > 800);
});

test('a server with few connections to spare is asked by about so many', () => {
  const moments = runPace(LIMITS, { ...DATABASE, refuses: (_, underWay) => underWay > 2 }, 60_000);
  const refused = moments.filter(({ underWay }) => underWay > 2).length;
  assert.ok(refused < moments.length / 20, `${refused} of ${moments.length} refused`);
});

test('timeouts halve what is under way', () => {
  const slow = (nowMs: number): number => (nowMs > 10_000 && nowMs < 12_000 ? 1000 : 1);
  const moments = runPace(LIMITS, { ...DATABASE, slowness: slow, timeoutMs: 200 }, 12_000);
  assert.equal(moments.at(-1)?.batch, BATCH_FIRST);
});

test('is never above its caps nor below its floor, whatever the database does', () => {
  fc.assert(
    fc.property(
      fc.record({
        concurrencyMin: fc.integer({ min: 1, max: 3 }),
        concurrencyMax: fc.integer({ min: 3, max: 12 }),
        batchMax: fc.integer({ min: 1, max: 1000 }),
        latencyMaxMs: fc.integer({ min: 1, max: 500 }),
      }),
      fc.integer({ min: 1, max: 8 }),
      fc.integer(),
      (limits, workers, seed) => {
        const random = chance(seed);
        const database: SimulatedDatabase = {
          workers,
          statementMs: 1,
          keyMs: 0.02,
          random,
          slowness: () => 0.2 + random() ** 8 * 50,
          refuses: () => random() < 0.02,
          timeoutMs: 100,
        };
        for (const { underWay, batch, window } of runPace(limits, database, 20_000)) {
          assert.ok(batch >= 1 && batch <= limits.batchMax, `a statement of ${batch} keys`);
          assert.ok(underWay <= limits.concurrencyMax, `${underWay} statements at a time`);
          assert.ok(window >= Math.min(BATCH_FIRST, limits.batchMax) * limits.concurrencyMin);
        }
      },
    ),
    { numRuns: 50 },
  );
});

test('a database that it has made slow does not become its norm', () => {
  // Slower for good, by more than a baseline may drift: what is under way stays small.
  const moments = runPace(LIMITS, { ...DATABASE, slowness: (nowMs) => (nowMs > 20_000 ? 8 : 1) }, 200_000);
  assert.ok(meanKeys(moments, 150_000, 200_000) < 100);
});

test('a database that others have made slower is measured anew, and has its own norm then', () => {
  const moments = runPace(LIMITS, { ...DATABASE, slowness: (nowMs) => (nowMs > 20_000 ? 2.5 : 1) }, 120_000);
  assert.ok(meanKeys(moments, 80_000, 120_000) > 800);
});
