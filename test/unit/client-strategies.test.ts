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
  'soon: { key: "soon:{id}", ttl: 100s, jitter: 0, early: 1, on: { notes: { id: id } } }',
  'late: { key: "late:{id}", ttl: 1s, jitter: 0, stale: 5m, on: { notes: { id: id } } }',
  'never: { key: "never:{id}", ttl: 1s, jitter: 0, stale: 5m, absent: 0, on: { notes: { id: id } } }',
);
const EARLY_TTL_MS = 100_000;
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

/** A family whose value stands, past its time and within its stale bound. */
async function pastItsTime(name: 'late' | 'never') {
  const { cache, opened } = await family(name);
  const first = opened.get(ID);
  await loader.answer({ v: 1 });
  await first;
  await memory.clock.advance(1500);
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
  const { cache, opened } = await pastItsTime('never');
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

/** A value whose load took 2 s, with 2 s of its time left: a reader who draws below 1/e is late enough. */
async function nearItsEnd(draw: () => number) {
  const { cache, opened } = await family('soon', { random: draw });
  const first = opened.get(ID);
  await loader.called();
  await memory.clock.advance(2000);
  await loader.answer({ v: 1 });
  await first;
  await memory.clock.advance(EARLY_TTL_MS - 2000);
  return { cache, opened };
}
const DRAWN = 0.64;
const NOT_DRAWN = 0.63;

test('the reader who draws it refreshes a value before its time is over, and neither he nor anybody else waits', async () => {
  let draw = NOT_DRAWN;
  const { cache, opened } = await nearItsEnd(() => draw);
  assert.deepEqual(await opened.get(ID), { v: 1 });
  await quiet();
  assert.equal(loader.calls.length, 1, 'not drawn');
  draw = DRAWN;
  assert.deepEqual(await opened.get(ID), { v: 1 });
  await loader.called(1);
  const { opened: elsewhere } = await family('soon', { random: () => 0.999 });
  assert.deepEqual(await Promise.all([opened.get(ID), elsewhere.get(ID)]), [{ v: 1 }, { v: 1 }]);
  await quiet();
  assert.equal(loader.calls.length, 2, 'one refreshes');
  await loader.answer({ v: 2 }, 1);
  await quiet();
  assert.deepEqual(await elsewhere.get(ID), { v: 2 });
  const { ttlLeftMs } = await opened.inspect(ID);
  assert.deepEqual([ttlLeftMs, cache.stats().earlyLoads, cache.stats().misses], [EARLY_TTL_MS, 1, 1]);
});

test('what an eviction crosses is not brought back by an early refresh', async () => {
  const { cache, opened } = await nearItsEnd(() => DRAWN);
  await opened.get(ID);
  await loader.called(1);
  await opened.evict(ID);
  await loader.answer({ v: 1 }, 1);
  await quiet();
  assert.equal(await opened.peek(ID), undefined);
  assert.equal(cache.stats().refusals.lease, 1);
});

test('an early refresh that fails, or that takes longer than what is left, costs its readers nothing', async () => {
  const { opened } = await nearItsEnd(() => DRAWN);
  await opened.get(ID);
  await loader.fail(new Error('down'), 1);
  await quiet();
  assert.deepEqual(await opened.get(ID), { v: 1 }, 'the old value goes on');
  await memory.clock.advance(1500);
  await opened.get(ID);
  await loader.called(2);
  await memory.clock.advance(600);
  const missed = opened.get(ID);
  await loader.answer({ v: 3 }, 3);
  assert.deepEqual(await missed, { v: 3 }, 'its time is over, and it is loaded as ever');
  await loader.answer({ v: 2 }, 2);
  await quiet();
  assert.deepEqual(await opened.peek(ID), { v: 3 });
});

test('an early refresh takes no place that a reader waits for', async () => {
  const cache = await memory.cache({ loadsMax: 1 }, { config: BUS.config, random: () => DRAWN });
  const soon = cache.family<{ v: number }, { id: string }>('soon', { reads: 'primary', load: loader.load });
  const first = soon.get(ID);
  await loader.called();
  await memory.clock.advance(2000);
  await loader.answer({ v: 1 });
  await first;
  await memory.clock.advance(EARLY_TTL_MS - 2000);
  const other = soon.get({ id: 'b' });
  await loader.called(1);
  assert.deepEqual(await soon.get(ID), { v: 1 });
  await quiet();
  assert.deepEqual([loader.calls.length, cache.stats().loadsWaiting], [2, 0]);
  await loader.answer({ v: 1 }, 1);
  await other;
});

test('past its time a value is reloaded by another where who reloaded it is gone with his lease', async () => {
  const { opened } = await pastItsTime('late');
  await opened.get(ID);
  await loader.called(1);
  // A second process, to which the first is as good as dead: its load never ends, its lease does.
  const { opened: other } = await family('late');
  assert.deepEqual(await other.get(ID), { v: 1 });
  await quiet();
  assert.equal(loader.calls.length, 2, 'under the lease');
  await memory.clock.advance(10_000);
  assert.deepEqual(await other.get(ID), { v: 1 });
  await loader.answer({ v: 2 }, 2);
  await quiet();
  assert.deepEqual(await other.get(ID), { v: 2 });
});

test('readers with a bound of their own are served nothing that is past its time', async () => {
  const { opened } = await pastItsTime('late');
  const strict = opened.get(ID, { maxStalenessMs: 60_000 });
  await loader.answer({ v: 2 }, 1);
  assert.deepEqual(await strict, { v: 2 });
});

test('past its stale bound a value is gone, and until then a reload that fails leaves it', async () => {
  const { opened } = await pastItsTime('late');
  await opened.get(ID);
  await loader.fail(new Error('down'), 1);
  await quiet();
  assert.deepEqual(await opened.get(ID), { v: 1 });
  await memory.clock.advance(300_000);
  const missed = opened.get(ID);
  await loader.answer({ v: 2 }, 2);
  assert.deepEqual(await missed, { v: 2 });
});

const shapedBus = (more: string) =>
  strategyBus(`shaped: { key: "shaped:{id}", ttl: 5m, ${more}, on: { notes: { id: id } } }`);

/** A process of the application whose file says other things of the family. */
async function release(more: string, load: (params: { id: string }) => unknown) {
  const cache = await memory.cache({}, { config: shapedBus(more).config });
  return cache.family<unknown, { id: string }>('shaped', { reads: 'primary', load });
}

test('a family may change its codec and its compression while old values stand: each release reads what the others stored', async () => {
  await memory.begin(shapedBus('codec: json').rules);
  const wordy = { name: 'ü'.repeat(200) };
  const forms = ['codec: json', 'codec: msgpack', 'codec: json, compress: 10b', 'codec: msgpack, compress: 10b'];
  const nobody = (): never => assert.fail('it was in the cache');
  const stored = new Set<string>();
  for (const form of forms) {
    const writer = await release(form, () => wordy);
    const id = form.replaceAll(/\W/g, '-');
    assert.deepEqual(await writer.get({ id }), wordy);
    stored.add(memory.region.get(`shaped:${id}`)?.split('\n')[1]?.slice(0, 1) ?? '');
    for (const other of forms) {
      const reader = await release(other, nobody);
      assert.deepEqual(await reader.get({ id }), wordy, `${form}, read by ${other}`);
    }
  }
  assert.equal(stored.size, 3, 'JSON, MessagePack, and compressed');
});

test('a value of another version of its shape is a miss, never an error, and is replaced; both releases go on', async () => {
  await memory.begin(shapedBus('version: 1').rules);
  const old = await release('version: 1', () => ({ name: 'x' }));
  const next = await release('version: 2', () => ({ names: ['x'] }));
  const none = await release('jitter: 0', () => 'x');
  assert.deepEqual(await old.get(ID), { name: 'x' });
  assert.equal(await next.peek(ID), undefined);
  assert.equal((await next.inspect(ID)).why, 'version');
  assert.deepEqual(await next.get(ID), { names: ['x'] });
  assert.deepEqual(await next.peek(ID), { names: ['x'] });
  assert.deepEqual(await old.get(ID), { name: 'x' });
  assert.equal(await none.get(ID), 'x');
  assert.deepEqual(await next.get(ID), { names: ['x'] });
});
