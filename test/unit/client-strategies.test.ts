import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { CachePorts } from '../../src/client/cache.ts';
import { MemoryCaches } from '../support/memory-cache.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';
import { strategyBus } from '../support/strategy-bus.ts';
import { quiet } from '../support/fake-clock.ts';

const BUS = strategyBus(
  'note: { key: "note:{id}", ttl: 5m, on: { notes: { id: id } } }',
  'long: { key: "long:{id}", ttl: 1h, jitter: 0, on: { notes: { id: id } } }',
  'gone: { key: "gone:{id}", ttl: 5m, jitter: 0, absent: 7s, on: { notes: { id: id } } }',
  'never: { key: "never:{id}", ttl: 1s, jitter: 0, stale: 5m, absent: 0, on: { notes: { id: id } } }',
);
const ID = { id: 'a' };

let memory: MemoryCaches;
let loader: ScriptedLoader;

beforeEach(async () => {
  memory = new MemoryCaches();
  loader = new ScriptedLoader();
  await memory.begin(BUS.rules);
});
afterEach(() => memory.close());

async function family(name: string, more: Partial<CachePorts> = {}) {
  const cache = await memory.cache({}, { config: BUS.config, ...more });
  const opened = cache.family<{ v: number }, { id: string }>(name, { reads: 'primary', load: loader.load });
  return { cache, opened };
}

test('what is stored in one moment ends at different ones: each value’s time is shortened at random, by a tenth at most', async () => {
  let draw = 0;
  const { opened: notes } = await family('note', { random: () => draw });
  for (const [i, [id, chance, leftMs]] of (
    [
      ['a', 0, 300_000],
      ['b', 0.5, 285_000],
      ['c', 0.999, 270_030],
    ] as const
  ).entries()) {
    draw = chance;
    const reading = notes.get({ id });
    await loader.answer({ v: 1 }, i);
    await reading;
    assert.equal((await notes.inspect({ id })).ttlLeftMs, leftMs);
  }
});

test('an absence is kept for its own time, by default a tenth of a value’s and a minute at most', async () => {
  for (const [i, [name, leftMs]] of (
    [
      ['gone', 7000],
      ['note', 28_500],
      ['long', 60_000],
    ] as const
  ).entries()) {
    const { opened } = await family(name);
    const reading = opened.get(ID);
    await loader.answer(null, i);
    assert.equal(await reading, null);
    assert.equal((await opened.inspect(ID)).ttlLeftMs, leftMs);
    assert.equal(await opened.get(ID), null);
    assert.equal(loader.calls.length, i + 1, 'kept');
  }
});

test('a family that keeps no absences asks each time, and what stood there before is gone', async () => {
  const { cache, opened } = await family('never');
  const first = opened.get(ID);
  await loader.answer({ v: 1 });
  await first;
  await memory.clock.advance(1500);
  assert.deepEqual(await opened.get(ID), { v: 1 }, 'past its time to live');
  await loader.answer(null, 1);
  await quiet();
  assert.equal(await opened.peek(ID), undefined, 'the row is gone, and so is the value');
  for (const number of [2, 3]) {
    const reading = opened.get(ID);
    await loader.answer(null, number);
    assert.equal(await reading, null);
  }
  assert.equal(cache.stats().refusals.absence, 3);
});
