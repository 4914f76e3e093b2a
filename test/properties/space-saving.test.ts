import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SpaceSaving } from '../../src/client/space-saving.ts';

const stream = fc.array(fc.tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 1, max: 9 })), { maxLength: 400 });
const capacity = fc.integer({ min: 1, max: 30 });

interface Run {
  readonly sketch: SpaceSaving;
  readonly truth: ReadonlyMap<string, number>;
  readonly total: number;
}

function run(added: readonly (readonly [number, number])[], counters: number): Run {
  const sketch = new SpaceSaving(counters);
  const truth = new Map<string, number>();
  let total = 0;
  for (const [n, weight] of added) {
    sketch.add(`k${n}`, weight);
    truth.set(`k${n}`, (truth.get(`k${n}`) ?? 0) + weight);
    total += weight;
  }
  return { sketch, truth, total };
}

test('a key with more than N/k of all that was added to k counters is always held', () => {
  fc.assert(
    fc.property(stream, capacity, (added, k) => {
      const { sketch, truth, total } = run(added, k);
      const held = new Set(sketch.top(k).map(({ key }) => key));
      for (const [key, count] of truth) if (count > total / k) assert.ok(held.has(key), `${key}: ${count} of ${total}`);
    }),
  );
});

test('no count is below the truth, none is above it by more than its error, and no error is above N/k', () => {
  fc.assert(
    fc.property(stream, capacity, (added, k) => {
      const { sketch, truth, total } = run(added, k);
      assert.equal(sketch.total, total);
      for (const { key, count, error } of sketch.top(k)) {
        const true_ = truth.get(key) ?? 0;
        assert.ok(count >= true_ && count - error <= true_ && error <= total / k, `${key}: ${count} ${error} ${true_}`);
      }
    }),
  );
});

test('never more counters than were given; all together they count everything', () => {
  fc.assert(
    fc.property(stream, capacity, (added, k) => {
      const { sketch, truth, total } = run(added, k);
      const all = sketch.top(k);
      assert.equal(all.length, Math.min(k, truth.size));
      assert.equal(
        all.reduce((sum, { count }) => sum + count, 0),
        total,
      );
    }),
  );
});

test('with a counter for each key it counts exactly, hottest first; cleared it is as new', () => {
  fc.assert(
    fc.property(stream, (added) => {
      const { sketch, truth } = run(added, 41);
      const top = sketch.top(3);
      const counts = [...truth.values()].toSorted((a, b) => b - a);
      assert.deepEqual(
        top.map(({ count, error }) => [count, error]),
        counts.slice(0, 3).map((count) => [count, 0]),
      );
      sketch.clear();
      assert.deepEqual([sketch.total, sketch.size, sketch.top(9)], [0, 0, []]);
      sketch.add('again', 2);
      assert.deepEqual(sketch.top(9), [{ key: 'again', count: 2, error: 0 }]);
    }),
  );
});
