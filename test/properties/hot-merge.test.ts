import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { HALF_LIFE_MS, HotMerge } from '../../src/agent/hot-merge.ts';
import { hotBucketOf, type HotReads } from '../../src/protocol/hot-key.ts';

const START_MS = 1_700_000_000_000;
const reads = (counts: Readonly<Record<string, number>>, family = 'user'): HotReads => ({
  process: 'p',
  seconds: 5,
  families: new Map([
    [
      family,
      { reads: 0, keys: Object.entries(counts).map(([key, count]) => ({ key, reads: count, loadMs: 0, bytes: 0 })) },
    ],
  ]),
});
const merge = (keysMax = 1000): HotMerge => new HotMerge(['user'], keysMax, START_MS);
/** All that is known, after everything is due. */
function known(of: HotMerge, nowMs: number): Map<string, number> {
  const buckets = of.due(nowMs, true);
  return new Map(buckets.flatMap(({ keys }) => keys.map(({ key, readsPerSecond }) => [key, readsPerSecond])));
}
const later = 24 * 3_600_000;

test('reads of a time ago count by half for each half-life since, whatever came between and however long it lasts', () => {
  const report = fc.record({
    afterMs: fc.integer({ min: 0, max: 3 * HALF_LIFE_MS }),
    key: fc.constantFrom('a', 'b', 'c'),
    count: fc.integer({ min: 1, max: 1000 }),
  });
  fc.assert(
    fc.property(
      fc.array(report, { minLength: 1, maxLength: 30 }),
      fc.constantFrom(0, 1000, 700 * HALF_LIFE_MS),
      (reports, idleMs) => {
        const one = merge();
        let nowMs = START_MS + idleMs;
        const told: { readonly key: string; readonly count: number; readonly atMs: number }[] = [
          { key: 'a', count: 1000, atMs: START_MS },
        ];
        one.add(reads({ a: 1000 }), START_MS);
        for (const { afterMs, key, count } of reports) {
          nowMs += afterMs;
          told.push({ key, count, atMs: nowMs });
          one.add(reads({ [key]: count }), nowMs);
        }
        const endMs = nowMs + 60_000;
        const decayed = (key: string): number =>
          told.reduce((sum, r) => sum + (r.key === key ? r.count * 2 ** ((r.atMs - endMs) / HALF_LIFE_MS) : 0), 0);
        const got = known(one, endMs);
        // The hottest, whose share of itself is no matter of rounding.
        const [first] = [...got.entries()].toSorted(([, a], [, b]) => b - a).map(([key]) => key);
        assert.ok(first !== undefined);
        for (const [key, rate] of got) {
          if (decayed(first) === 0 || decayed(key) < 1e-100) {
            assert.ok(rate < 1e-90, `${key}: ${rate}`);
            continue;
          }
          assert.ok(
            Math.abs(rate / (got.get(first) ?? 1) / (decayed(key) / decayed(first)) - 1) < 1e-9,
            `${key} beside ${first}`,
          );
        }
      },
    ),
  );
});

test('an even rate is told as it is, from the first report on and after hours', () => {
  for (const hours of [0.01, 0.1, 1, 10]) {
    const one = merge();
    let nowMs = START_MS;
    for (; nowMs < START_MS + hours * 3_600_000; nowMs += 5000) one.add(reads({ a: 50, b: 5 }), nowMs);
    const got = known(one, nowMs);
    assert.ok(Math.abs((got.get('a') ?? 0) / 10 - 1) < 0.25, `${got.get('a')} after ${hours} h`);
    assert.ok(Math.abs((got.get('b') ?? 0) / 1 - 1) < 0.25, `${got.get('b')} after ${hours} h`);
  }
});

test('it goes on from what was published: rates stand, and new reads weigh against old ones as before', () => {
  const before = merge();
  let nowMs = START_MS;
  for (; nowMs < START_MS + later; nowMs += 30_000) before.add(reads({ a: 300, b: 30 }), nowMs);
  const published = before.due(nowMs, false);
  const after = new HotMerge(['user'], 1000, nowMs + 1000);
  for (const bucket of published) after.resume(bucket, nowMs + 1000);
  assert.deepEqual(after.due(nowMs + 120_000, true), [], 'what stands there is not published again');
  for (let step = 0; step < 20; step++) {
    nowMs += 30_000;
    for (const one of [before, after]) one.add(reads({ a: 10, c: 600 }), nowMs);
  }
  const [was, is] = [known(before, nowMs + 60_000), new Map<string, number>()];
  for (const { keys } of after.due(nowMs + 60_000, false)) for (const key of keys) is.set(key.key, key.readsPerSecond);
  for (const key of ['a', 'c'])
    assert.ok(Math.abs((is.get(key) ?? 0) / (was.get(key) ?? 1) - 1) < 0.02, `${key}: ${is.get(key)} ${was.get(key)}`);
});

test('never more keys than its bound, and those that are kept are the hottest of their buckets', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2000 }), fc.integer({ min: 0, max: 5000 }), (keysMax, keys) => {
      const one = merge(keysMax);
      const counts = Object.fromEntries(Array.from({ length: keys }, (_, i) => [`k${i}`, i + 1]));
      // Hottest first: what comes later is colder, and takes nobody's place.
      const all = Object.entries(counts).toReversed();
      for (let first = 0; first < all.length; first += 200)
        one.add(reads(Object.fromEntries(all.slice(first, first + 200))), START_MS);
      const limit = Math.ceil(keysMax / 256);
      const got = one.due(START_MS + 120_000, false);
      for (const bucket of got) {
        assert.ok(bucket.keys.length <= Math.floor(limit * 1.1) || bucket.keys.length === limit);
        const truth = all.map(([key]) => key).filter((key) => hotBucketOf(key) === bucket.bucket);
        assert.deepEqual(
          bucket.keys.slice(0, limit).map(({ key }) => key),
          truth.slice(0, limit),
        );
      }
    }),
    { numRuns: 20 },
  );
});

test('of other families nothing is kept, and what a load cost stands until it is told anew', () => {
  const one = merge();
  one.add(reads({ a: 1 }, 'other'), START_MS);
  assert.equal(one.keys, 0);
  const told = (loadMs: number, bytes: number): HotReads => ({
    process: 'p',
    seconds: 5,
    families: new Map([['user', { reads: 1, keys: [{ key: 'a', reads: 1, loadMs, bytes }] }]]),
  });
  for (const [loadMs, bytes] of [
    [7, 90],
    [0, 0],
    [9, 0],
  ] as const)
    one.add(told(loadMs, bytes), START_MS);
  const [bucket] = one.due(START_MS + 120_000, false);
  assert.deepEqual([bucket?.keys[0]?.loadMs, bucket?.keys[0]?.bytes], [9, 90]);
});

test('a bucket that has changed is due within seconds in a new region, once or twice a minute in an old one; those with the hottest keys whenever they are asked for', () => {
  const one = merge(100_000);
  const many = Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`k${i}`, i < 5 ? 10_000 : 1]));
  const hot = new Set(Array.from({ length: 5 }, (_, i) => hotBucketOf(`k${i}`)));
  let nowMs = START_MS;
  const minute = (seconds: number): Map<number, number> => {
    const seen = new Map<number, number>();
    for (let second = 0; second < seconds; second++) {
      nowMs += 1000;
      one.add(reads(many), nowMs);
      for (const { bucket } of one.due(nowMs, second % 5 === 0)) seen.set(bucket, (seen.get(bucket) ?? 0) + 1);
    }
    return seen;
  };
  assert.equal(minute(5).size, 256, 'what is known is published, and then what comes to it');
  assert.equal(minute(15).size, 256);
  minute(600);
  const seen = minute(60);
  assert.equal(seen.size, 256, 'within a minute each was published');
  for (const bucket of hot) assert.ok((seen.get(bucket) ?? 0) >= 12, `bucket ${bucket}: ${seen.get(bucket)}`);
  const others = [...seen].filter(([bucket]) => !hot.has(bucket)).map(([, times]) => times);
  assert.ok(others.filter((times) => times <= 2).length > 200, 'the others once or twice');
  const inOneSecond = one.due(nowMs + 1000, false).length;
  assert.ok(inOneSecond < 30, `${inOneSecond} of 256 in one second: they are spread`);
  nowMs += 60_000;
  const due = one.due(nowMs, true);
  assert.deepEqual(one.due(nowMs + 60_000, true), [], 'what has not changed is not published again');
  one.unpublished(due);
  assert.equal(one.due(nowMs, false).length, due.length, 'what could not be published is due again');
});

test('what nobody reads any more fades as it is published too, as long as the region reads something else', () => {
  const one = new HotMerge(['user', 'gone'], 1000, START_MS);
  one.add(reads({ a: 1_000_000 }, 'gone'), START_MS);
  const told = new Map<string, number>();
  const run = (fromMs: number, isRead: boolean): number => {
    let published = 0;
    let nowMs = fromMs;
    for (; nowMs < fromMs + later; nowMs += 30_000) {
      if (isRead) one.add(reads({ b: 30 }), nowMs);
      for (const { family, keys } of one.due(nowMs, true)) {
        published += 1;
        told.set(family, keys[0]?.readsPerSecond ?? 0);
      }
    }
    return published;
  };
  run(START_MS, true);
  assert.ok((told.get('gone') ?? 0) < (told.get('user') ?? 0) / 100, `${told.get('gone')} ${told.get('user')}`);
  run(START_MS + later, false);
  assert.equal(run(START_MS + 2 * later, false), 0, 'where nothing is read all stays as it was');
});
