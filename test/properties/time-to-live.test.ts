import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { livesForMs } from '../../src/protocol/time-to-live.ts';

const ttl = fc.integer({ min: 1, max: 3650 * 86_400_000 });
const jitter = fc.double({ min: 0, max: 0.9, noNaN: true });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('no value lives longer than its time to live, nor shorter than its jitter says, and all live a whole millisecond', () => {
  fc.assert(
    fc.property(ttl, jitter, chance, (ttlMs, share, draw) => {
      const ms = livesForMs(ttlMs, share, draw);
      assert.ok(Number.isInteger(ms) && ms >= 1 && ms <= ttlMs);
      assert.ok(ms >= Math.floor(ttlMs * (1 - share)));
      assert.equal(livesForMs(ttlMs, 0, draw), ttlMs, 'none, and all live as long');
    }),
  );
});

test('what is stored together ends spread over the whole share of the time, evenly', () => {
  const draws = Array.from({ length: 1000 }, (_, i) => livesForMs(100_000, 0.1, i / 1000));
  assert.deepEqual([Math.min(...draws), Math.max(...draws)], [90_010, 100_000]);
  const slots = Map.groupBy(draws, (ms) => Math.floor((ms - 90_001) / 1000));
  assert.equal(slots.size, 10);
  for (const slot of slots.values()) assert.ok(Math.abs(slot.length - 100) <= 1);
});
