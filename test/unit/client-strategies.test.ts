import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { MemoryCaches } from '../support/memory-cache.ts';

let memory: MemoryCaches;

beforeEach(async () => {
  memory = new MemoryCaches();
  await memory.begin();
});
afterEach(() => memory.close());

test('what is stored in one moment ends at different ones: each value’s time is shortened at random, by a tenth at most', async () => {
  let draw = 0;
  const cache = await memory.cache({}, { random: () => draw });
  const notes = cache.family<{ v: number }, { id: string }>('note', { reads: 'primary', load: () => ({ v: 1 }) });
  for (const [id, chance, leftMs] of [
    ['a', 0, 300_000],
    ['b', 0.5, 285_000],
    ['c', 0.999, 270_030],
  ] as const) {
    draw = chance;
    await notes.get({ id });
    assert.equal((await notes.inspect({ id })).ttlLeftMs, leftMs);
  }
});
