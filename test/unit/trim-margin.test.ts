import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lowestApplied, TRIM_MARGIN_MS, TrimMargin } from '../../src/drivers/redis/trim-margin.ts';

test('a stream is trimmed to where the slowest region stood a margin ago, never to where it stands', () => {
  const margin = new TrimMargin();
  const at = (offset: number): ReadonlyMap<number, number> => new Map([[0, offset]]);
  assert.equal(margin.note(0, at(10)), undefined);
  assert.equal(margin.note(TRIM_MARGIN_MS - 1, at(90)), undefined);
  assert.equal(margin.note(TRIM_MARGIN_MS, at(100))?.get(0), 10);
  assert.equal(margin.note(TRIM_MARGIN_MS + 1, at(101)), undefined, 'nothing that was not told already');
  assert.equal(margin.note(3 * TRIM_MARGIN_MS, at(300))?.get(0), 101, 'the latest that is old enough');
});

test('a region that was taken out of the file no longer holds the log', () => {
  const positions = { 'eu:0': '70', 'us:0': '50', 'gone:0': '3', 'eu:1': '9', 'a:b:1': '8', 'gone:2': '1' };
  assert.deepEqual(
    [...lowestApplied(positions, new Set(['eu', 'us', 'a:b']))],
    [
      [0, 50],
      [1, 8],
    ],
  );
});
