import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Cache } from '../../src/client/cache.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { MemoryCaches } from '../support/memory-cache.ts';
import { poolOf } from '../support/written-pool.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';

const ID = { id: 'a1' };
/** Random stands at a half, and a value lives for a tenth less at most. */
const LIFE_MS = 285_000;
const LEAST_MS = 270_000;

let memory: MemoryCaches;
let loader: ScriptedLoader;

beforeEach(async () => {
  memory = new MemoryCaches();
  await memory.begin();
  loader = new ScriptedLoader();
});
afterEach(() => memory.close());

const open = (cache: Cache, name = 'note') =>
  cache.family<{ v: number }, { id: string }>(name, { reads: 'primary', load: loader.load });

test('the age of a value counts from the beginning of its load, and what is left of its time is never told too much', async () => {
  const notes = open(await memory.cache());
  const loading = notes.serve(ID);
  await loader.called();
  await memory.clock.advance(3000);
  await loader.answer({ v: 1 });
  const loaded = await loading;
  assert.deepEqual([loaded.value, loaded.payload, loaded.ageMs], [{ v: 1 }, '{"v":1}', 3000]);
  assert.equal(loaded.leftMs, LEAST_MS - 3000);
  await memory.clock.advance(10_000);
  const hit = await notes.serve(ID);
  assert.deepEqual([hit.payload, hit.ageMs, hit.leftMs], ['{"v":1}', 13_000, LIFE_MS - 10_000]);
  const held = await notes.serveHeld(ID);
  assert.deepEqual([held?.payload, held?.ageMs, held?.leftMs], ['{"v":1}', 13_000, LIFE_MS - 10_000]);
  assert.equal(loader.calls.length, 1);
});

test('a read that shares another’s, which did not ask for the time that is left, tells the least that it can be', async () => {
  const notes = open(await memory.cache());
  const loading = notes.get(ID);
  await loader.answer({ v: 1 });
  await loading;
  await memory.clock.advance(10_000);
  const reads = memory.reads;
  const [, served] = await Promise.all([notes.get(ID), notes.serve(ID)]);
  assert.deepEqual([served.leftMs, served.ageMs, memory.reads - reads], [LEAST_MS - 10_000, 10_000, 1]);
});

test('a value that another process loaded is as old as it is there', async () => {
  const [here, there] = [open(await memory.cache()), open(await memory.cache({}, { process: 'q1' }))];
  const loading = there.get(ID);
  await loader.called();
  const waiting = here.serve(ID);
  await memory.clock.advance(4000);
  await loader.answer({ v: 1 });
  await loading;
  await memory.clock.advance(1000);
  const { value, ageMs } = await waiting;
  assert.ok(ageMs !== undefined && ageMs >= 4000 && ageMs <= 5000);
  assert.deepEqual([value, loader.calls.length], [{ v: 1 }, 1]);
});

test('the age of a value that was written through counts from before its COMMIT', async () => {
  const cache = await memory.cache(
    {},
    { primary: poolOf((text) => (text.startsWith('COMMIT') ? memory.clock.advance(2000) : undefined)) },
  );
  const notes = open(cache);
  await notes.write(ID, () => ({ v: 7 }), { then: 'update' });
  await memory.clock.advance(5000);
  const { value, ageMs } = await notes.serve(ID);
  assert.deepEqual([value, ageMs, cache.stats().writesStored], [{ v: 7 }, 7000, 1]);
});

test('the last value known, which answers where nothing else can, is past its time, and as old as it is', async () => {
  const cache = await memory.cache({ loadsMax: 1, loadQueueMax: 0 });
  const slow = open(cache, 'slow');
  const first = slow.get(ID);
  await loader.answer({ v: 1 });
  await first;
  await slow.get(ID);
  memory.away = new BusError('REDIS_UNREACHABLE', 'away');
  const busy = open(cache).get({ id: 'b' });
  await loader.called(1);
  await memory.clock.advance(400);
  const last = await slow.serve(ID);
  assert.deepEqual([last.value, last.payload, last.ageMs, last.leftMs], [{ v: 1 }, '{"v":1}', 400, 0]);
  await loader.answer({ v: 2 }, 1);
  await busy;
  memory.away = undefined;
});

test('of a value that a release before stored the age is not known', async () => {
  const notes = open(await memory.cache());
  const loading = notes.get(ID);
  await loader.answer({ v: 1 });
  await loading;
  const slot = memory.region.get('note:a1') ?? '';
  assert.match(slot, / t1000 - /);
  memory.region.set('note:a1', slot.replace(' t1000 ', ' - '), 20_000);
  const { value, ageMs, leftMs } = await notes.serve(ID);
  assert.deepEqual([value, ageMs, leftMs], [{ v: 1 }, undefined, 20_000]);
});
