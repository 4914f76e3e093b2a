import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Breaker } from '../../src/client/breaker.ts';
import type { Cache } from '../../src/client/cache.ts';
import type { CacheFamily } from '../../src/client/cache-family.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { quiet } from '../support/fake-clock.ts';
import { TrackedTier } from '../../src/client/tracked-tier.ts';
import { cacheStoreOf } from '../../src/testing/memory-stores.ts';
import { CELLS } from '../support/cache-region.ts';
import { MemoryCaches } from '../support/memory-cache.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';

let memory: MemoryCaches;
let loader: ScriptedLoader;

beforeEach(async () => {
  memory = new MemoryCaches();
  loader = new ScriptedLoader();
  await memory.begin();
});
afterEach(() => memory.close());

const ID = { id: 'a' };
const AWAY = new BusError('REDIS_UNREACHABLE', 'away');
type Notes = CacheFamily<{ v: number }, { id: string }>;
const open = (cache: Cache, name = 'note', load = loader.load): Notes => cache.family(name, { reads: 'primary', load });

test('a family that the file does not have, has no loader for, or has two, is refused with the reason', async () => {
  const cache = await memory.cache();
  assert.throws(() => cache.family('nothing'), { code: 'CACHE_FAMILY_UNKNOWN', message: /user, note, slow/ });
  assert.throws(() => cache.family('note'), { code: 'CACHE_LOADER_MISSING' });
  const notes = open(cache);
  assert.equal(cache.family('note'), notes, 'opened once, it is known');
  assert.throws(() => open(cache), { code: 'CACHE_LOADER_TWICE' });
});

test('what a loader may not return is an error with a code for every caller', async () => {
  const cache = await memory.cache({ failureMemoryMs: 0 });
  for (const [name, value] of [
    ['note', undefined],
    ['slow', { v: 1n }],
    ['serve', () => 1],
  ] as const)
    await assert.rejects(
      cache.family<unknown, { id: string }>(name, { reads: 'primary', load: async () => value }).get(ID),
      { code: 'CACHE_VALUE_INVALID' },
    );
});

test('every caller has a value of his own, the same whether it was loaded or in the cache', async () => {
  const cache = await memory.cache();
  const notes = cache.family<{ at: string }, { id: string }>('note', {
    reads: 'primary',
    load: async () => ({ at: new Date(0) as unknown as string }),
  });
  const [one, two] = await Promise.all([notes.get(ID), notes.get(ID)]);
  assert.deepEqual(one, { at: '1970-01-01T00:00:00.000Z' });
  assert.notEqual(one, two);
  assert.deepEqual(await notes.get(ID), one);
});

test('a key longer than the bus carries, or without a parameter, is refused', async () => {
  const notes = open(await memory.cache());
  await assert.rejects(notes.get({ id: 'x'.repeat(1020) }), { code: 'CACHE_KEY_TOO_LONG' });
  await assert.rejects(notes.get({ id: 'é'.repeat(510) }), { code: 'CACHE_KEY_TOO_LONG' });
  await assert.rejects(notes.get({} as never), { code: 'KEY_PARAMETER_INVALID', message: /\{id\}/ });
  await assert.rejects(notes.get({ id: null } as never), { code: 'KEY_PARAMETER_INVALID' });
});

test('an error is remembered for its time, and then the loader is asked again', async () => {
  const notes = open(await memory.cache({ failureMemoryMs: 1000 }));
  const first = notes.get(ID);
  const error = new Error('down');
  await loader.fail(error);
  await assert.rejects(first, (same) => same === error);
  // Random stands at a half: three quarters of the limit.
  await memory.clock.advance(749);
  await assert.rejects(notes.get(ID), (same) => same === error);
  await memory.clock.advance(2);
  const again = notes.get(ID);
  await loader.answer({ v: 1 }, 1);
  assert.deepEqual(await again, { v: 1 });
});

test('with no memory of errors every read asks the loader', async () => {
  const notes = open(await memory.cache({ failureMemoryMs: 0 }));
  for (const number of [0, 1]) {
    const reading = notes.get(ID);
    await loader.fail(new Error('down'), number);
    await assert.rejects(reading, /down/);
  }
});

test('no more loads than the limit are under way, the rest wait in a bounded queue, and what is beyond fails fast', async () => {
  const cache = await memory.cache({ loadsMax: 2, loadQueueMax: 1 });
  const notes = open(cache);
  const readings = ['a', 'b', 'c'].map((id) => notes.get({ id }));
  await loader.called(1);
  await quiet();
  assert.deepEqual([loader.calls.length, cache.stats().loadsWaiting], [2, 1]);
  await assert.rejects(notes.get({ id: 'd' }), { code: 'CACHE_OVERLOADED' });
  assert.equal(cache.stats().overloads, 1);
  for (const number of [0, 1, 2]) await loader.answer({ v: number }, number);
  await Promise.all(readings);
});

test('a load that waits for its place too long fails, and an error of the gate is not remembered', async () => {
  const cache = await memory.cache({ loadsMax: 1, loadQueueWaitMs: 500 });
  const notes = open(cache);
  const first = notes.get(ID);
  await loader.called();
  const second = assert.rejects(notes.get({ id: 'b' }), { code: 'CACHE_OVERLOADED' });
  await memory.clock.advance(501);
  await second;
  await loader.answer({ v: 1 });
  await first;
  const again = notes.get({ id: 'b' });
  await loader.answer({ v: 2 }, 1);
  assert.deepEqual(await again, { v: 2 });
});

test('while Redis is away a process keeps to its share of the fleet’s loads, by the number of processes last seen', async () => {
  memory.fleet = 64;
  const cache = await memory.cache({ loadsMax: 32, fleetLoadsMax: 256 });
  const notes = open(cache);
  memory.away = AWAY;
  const readings = Array.from({ length: 40 }, (_, i) => notes.get({ id: String(i) }));
  await loader.called(3);
  await quiet();
  assert.deepEqual([cache.stats().redis, cache.stats().fleet], ['open', 64]);
  const more = Array.from({ length: 40 }, (_, i) => notes.get({ id: `m${i}` }));
  await quiet();
  const before = loader.calls.length;
  for (let i = 0; i < 80; i++) {
    await loader.answer({ v: i }, i);
    await quiet();
    // As many as were let in before the breaker opened end first; from there on four.
    if (i >= before) assert.ok(cache.stats().loadsUnderWay <= 4);
  }
  await Promise.all([...readings, ...more]);
});

test('without Redis one load of a key follows another: a reader never gets one that began before he came, nor more than one is under way', async () => {
  const notes = open(await memory.cache());
  memory.away = AWAY;
  const first = notes.get(ID);
  await loader.called();
  const later = [notes.get(ID), notes.get(ID), notes.get(ID)];
  await quiet();
  assert.equal(loader.calls.length, 1);
  await loader.answer({ v: 1 });
  assert.deepEqual(await first, { v: 1 });
  await loader.answer({ v: 2 }, 1);
  for (const value of await Promise.all(later)) assert.deepEqual(value, { v: 2 });
  assert.equal(loader.calls.length, 2);
});

test('where there is no place for a load, the last value of a family with a stale bound answers, for no longer than the bound', async () => {
  const cache = await memory.cache({ loadsMax: 1, loadQueueMax: 0 });
  const slow = open(cache, 'slow');
  const first = slow.get(ID);
  await loader.answer({ v: 1 });
  await first;
  await slow.get(ID);
  memory.away = AWAY;
  const busy = open(cache, 'note').get({ id: 'b' });
  await loader.called(1);
  assert.deepEqual(await slow.get(ID), { v: 1 });
  assert.equal(cache.stats().lastValues, 1);
  await assert.rejects(slow.get({ id: 'other' }), { code: 'CACHE_OVERLOADED' });
  await slow.evict(ID);
  await assert.rejects(slow.get(ID), { code: 'CACHE_OVERLOADED' }, 'what was evicted is no last value');
  await loader.answer({ v: 2 }, 1);
  await busy;
  memory.away = undefined;
});

test('an evicted key is read through until its eviction has been sent, the last of each key, with its types as known then', async () => {
  const closed: Breaker = { state: 'closed', isQuiet: true, failed: () => undefined, run: (act) => act() };
  const cache = await memory.cache({}, { breaker: () => closed });
  const notes = open(cache);
  const first = notes.get(ID);
  await loader.answer({ v: 1 });
  await first;
  memory.evictAway = AWAY;
  assert.deepEqual([await notes.evict(ID), await notes.evict(ID)], ['kept', 'kept']);
  assert.equal(cache.stats().evictionsWaiting, 1);
  const reading = notes.get(ID);
  await loader.answer({ v: 2 }, 1);
  assert.deepEqual(await reading, { v: 2 });
  assert.equal(cache.stats().evictionsWaiting, 1);
  memory.evictAway = undefined;
  await memory.clock.advance(2000);
  assert.equal(cache.stats().evictionsWaiting, 0);
  assert.equal(await notes.peek(ID), undefined);
  assert.ok(memory.events.some(({ code }) => code === 'evictions-sent'));
});

test('beyond the limit of kept evictions nothing in Redis is trusted, until the cell’s next epoch or the longest life of a value', async () => {
  const cache = await memory.cache({ keptEvictionsMax: 1, failureMemoryMs: 0 });
  let loads = 0;
  const notes = open(cache, 'note', async () => ({ v: ++loads }));
  await notes.get(ID);
  memory.away = AWAY;
  await notes.evict({ id: 'x' });
  await notes.evict({ id: 'y' });
  assert.equal(cache.stats().evictionsLost, 1);
  assert.ok(memory.events.some(({ code }) => code === 'evictions-lost'));
  memory.away = undefined;
  await memory.clock.advance(2000);
  assert.deepEqual(await notes.get(ID), { v: 2 }, 'read through, though Redis has it');
  await memory.begin();
  assert.deepEqual(await notes.get(ID), { v: 3 }, 'a new epoch: loaded');
  assert.deepEqual(await notes.get(ID), { v: 3 }, 'and trusted');
});

test('a load past its deadline fails with a code, its signal is aborted, and its place is held until it ends, or is taken for lost', async () => {
  const cache = await memory.cache({ loadTimeoutMs: 1000, loadsMax: 1, failureMemoryMs: 0 });
  const notes = open(cache);
  const reading = assert.rejects(notes.get(ID), { code: 'CACHE_LOAD_TIMEOUT' });
  await loader.called();
  await memory.clock.advance(1000);
  await reading;
  assert.equal(loader.calls[0]?.signal.aborted, true);
  assert.equal(cache.stats().loadsUnderWay, 1);
  await memory.clock.advance(1001);
  assert.equal(cache.stats().loadsUnderWay, 0);
  assert.ok(memory.events.some(({ code }) => code === 'load-abandoned'));
});

test('a waiter in another process waits for one lease; when the next is another’s again he loads without one', async () => {
  const [holder, waiter] = [await memory.cache(), await memory.cache()];
  const held = open(holder).get(ID);
  await loader.called();
  const waiting = new ScriptedLoader();
  const reading = open(waiter, 'note', waiting.load).get(ID);
  await quiet();
  // Voided, and taken by a third at once.
  memory.region.drop('note:a');
  const third = new ScriptedLoader();
  const thirds = open(await memory.cache(), 'note', third.load).get(ID);
  await third.called();
  await memory.clock.advance(50);
  await waiting.answer({ v: 2 });
  assert.deepEqual(await reading, { v: 2 });
  await loader.answer({ v: 1 });
  await third.answer({ v: 3 });
  assert.deepEqual(await Promise.all([held, thirds]), [{ v: 1 }, { v: 3 }]);
  assert.equal(waiter.stats().stored, 0);
});

test('an answer of Redis that was under way when an eviction came is not given to who came after', async () => {
  const [other, cache] = [await memory.cache(), await memory.cache()];
  const filling = new ScriptedLoader();
  const filled = open(other, 'note', filling.load).get(ID);
  await filling.called();
  const notes = open(cache);
  const waiter = notes.get(ID);
  await quiet();
  const onItsWay = memory.holdNextRead();
  await filling.answer({ v: 1 });
  await filled;
  await memory.clock.advance(50);
  memory.region.drop('note:a');
  const late = notes.get(ID);
  await quiet();
  onItsWay.resolve();
  assert.deepEqual(await waiter, { v: 1 }, 'who came before');
  await loader.answer({ v: 2 });
  assert.deepEqual(await late, { v: 2 });
});

test('those who ask for a key in one turn are one read, whose failure counts once, and one who asks later is another', async () => {
  const cache = await memory.cache();
  const notes = open(cache);
  const first = notes.get(ID);
  await loader.answer({ v: 1 });
  await first;
  const before = memory.reads;
  const crowd = [notes.get(ID), notes.get(ID), notes.get({ id: 'b' })];
  await loader.answer({ v: 2 }, 1);
  const values = await Promise.all(crowd);
  assert.deepEqual(values, [{ v: 1 }, { v: 1 }, { v: 2 }]);
  assert.notEqual(values[0], values[1], 'a value of his own');
  assert.equal(memory.reads, before + 2);
  await notes.get(ID);
  assert.equal(memory.reads, before + 3);
  memory.away = AWAY;
  const failing = [notes.get(ID), notes.get(ID), notes.get(ID)];
  await loader.answer({ v: 3 }, 2);
  await Promise.all(failing);
  assert.equal(cache.stats().redis, 'closed', 'one failure, of the two that open the breaker');
});

test('who asks after an eviction of our own, in the same turn, reads after it', async () => {
  const cache = await memory.cache();
  const notes = open(cache);
  const first = notes.get(ID);
  await loader.answer({ v: 1 });
  await first;
  const earlier = notes.get(ID);
  const evicted = notes.evict(ID);
  const later = notes.get(ID);
  await loader.answer({ v: 2 }, 1);
  assert.deepEqual(await Promise.all([earlier, evicted, later]), [{ v: 1 }, 'evicted', { v: 2 }]);
});

test('options without sense are refused', async () => {
  await assert.rejects(async () => memory.cache({ loadsMax: 0 }), {
    code: 'CACHE_OPTION_INVALID',
    message: /loadsMax/,
  });
  await assert.rejects(async () => memory.cache({ loadTimeoutMs: 1.5 }), { code: 'CACHE_OPTION_INVALID' });
});

test('memory is given what stands in Redis, for what is left of its time without the stale bound', async () => {
  const puts: [string, string | null, number][] = [];
  const tier = {
    get: () => undefined,
    sending: () => 7,
    put: (entry: { key: string }, payload: string | null, sending: number, { lifeMs }: { lifeMs: number }) => {
      assert.equal(sending, 7);
      puts.push([entry.key, payload, lifeMs]);
    },
    drop: () => undefined,
  };
  const cache = await memory.cache({}, { tier });
  for (const name of ['near', 'near-slow', 'note']) {
    const family = cache.family(name, { reads: 'primary', load: async () => ({ v: 1, org_id: 7 }) });
    await family.get({ id: 'a' });
    assert.deepEqual(puts, [], 'what was loaded has not been read from Redis');
    await memory.clock.advance(400);
    await family.get({ id: 'a' });
    // Random stands at a half, so each lives a twentieth shorter.
    const text = '{"v":1,"org_id":7}';
    const expected = { near: [['near:a', text, 284_600]], 'near-slow': [['near-slow:a', text, 550]] }[name] ?? [];
    assert.deepEqual(puts.splice(0), expected);
  }
});

test('a read that overtakes an own eviction on its way does not leave the value in memory', async () => {
  const { clock } = memory;
  const tier = new TrackedTier({ clock, cells: CELLS, entriesMax: 10, staleMs: 60_000, values: 'copied' });
  tier.proven(clock.monotonicMs());
  const inner = cacheStoreOf(memory.region);
  const onItsWay = Promise.withResolvers<void>();
  const store = {
    ...inner,
    evict: async (...entries: Parameters<typeof inner.evict>) => {
      await onItsWay.promise;
      return inner.evict(...entries);
    },
  };
  const cache = await memory.cache({}, { tier, store });
  let v = 1;
  const near = cache.family('near', { reads: 'primary', load: async () => ({ v, org_id: 7 }) });
  await near.get({ id: 'a' });
  v = 2;
  const evicting = near.evict({ id: 'a' });
  assert.deepEqual(await near.get({ id: 'a' }), { v: 1, org_id: 7 });
  onItsWay.resolve();
  await evicting;
  assert.deepEqual(await near.get({ id: 'a' }), { v: 2, org_id: 7 });
});
