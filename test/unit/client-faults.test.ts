import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { Breaker } from '../../src/client/breaker.ts';
import type { Cache } from '../../src/client/cache.ts';
import type { CacheFamily } from '../../src/client/cache-family.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { ownRules } from '../support/cache-region.ts';
import { quiet } from '../support/fake-clock.ts';
import { MemoryCaches } from '../support/memory-cache.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';

// What goes wrong around reads and loads: ends in the middle, evictions that cross, Redis that refuses.
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
const open = (
  cache: Cache,
  name = 'note',
  load: (
    params: { id: string },
    request: { readonly signal: AbortSignal },
  ) => Promise<{ v: number } | null> = loader.load,
): Notes => cache.family(name, { reads: 'primary', load });
const integerNotes = (): string => (ownRules()['note'] ?? '').replace(' text', ' integer');
/** Never opens, so that each command finds Redis as the test has it. */
const closedBreaker = (): Breaker => ({ state: 'closed', isQuiet: true, failed: () => undefined, run: (act) => act() });

test('what JSON would lose without a word is refused too', async () => {
  const cache = await memory.cache({ failureMemoryMs: 0 });
  for (const [name, value] of [
    ['note', Number.NaN],
    ['slow', new Map([[1, 2]])],
    ['serve', new Set([1])],
  ] as const)
    await assert.rejects(
      cache.family<unknown, { id: string }>(name, { reads: 'primary', load: async () => value }).get(ID),
      { code: 'CACHE_VALUE_INVALID' },
    );
});

test('a drain waits for a read whose answer is under way, and for the load that it begins', async () => {
  const cache = await memory.cache();
  const notes = open(cache);
  const answer = memory.holdNextRead();
  const reading = notes.get(ID);
  await quiet();
  let isDrained = false;
  const drained = cache.drain().then(() => (isDrained = true));
  await quiet();
  answer.resolve();
  await loader.called();
  await quiet();
  assert.equal(isDrained, false);
  await loader.answer({ v: 1 });
  assert.deepEqual(await reading, { v: 1 });
  await drained;
});

test('a read whose answer comes after the drain’s time begins no load', async () => {
  const cache = await memory.cache({ drainWaitMs: 100 });
  const notes = open(cache);
  const answer = memory.holdNextRead();
  const reading = assert.rejects(notes.get(ID), { code: 'CACHE_CLOSED' });
  await quiet();
  const drained = cache.drain();
  await memory.clock.advance(101);
  answer.resolve();
  await Promise.all([reading, drained]);
  assert.equal(loader.calls.length, 0);
});

test('a drain ends though a loader never does, and leaves no timer behind', async () => {
  const cache = await memory.cache({ drainWaitMs: 100 });
  const reading = assert.rejects(open(cache).get(ID), { code: 'CACHE_CLOSED' });
  await loader.called();
  const drained = cache.drain();
  await memory.clock.advance(101);
  await Promise.all([reading, drained]);
  assert.equal(memory.clock.sleeping, 0);
  assert.ok(!memory.events.some(({ code }) => code === 'load-abandoned'));
});

test('a load that nobody waits for any more when it would begin does not begin', async () => {
  const cache = await memory.cache();
  const leaving = new AbortController();
  const reading = assert.rejects(open(cache).get(ID, { signal: leaving.signal }), { name: 'AbortError' });
  const answer = memory.holdNextLease();
  await quiet();
  leaving.abort();
  await reading;
  answer.resolve();
  await quiet();
  assert.equal(loader.calls.length, 0);
  await cache.drain();
  assert.equal(memory.region.get('note:a'), null, 'its lease was given up');
});

test('a drain sends the evictions that wait, and says how many it gives up where Redis stays away', async () => {
  const cache = await memory.cache({ drainWaitMs: 5000 });
  const notes = open(cache);
  memory.away = AWAY;
  assert.equal(await notes.evict(ID), 'kept');
  const drained = cache.drain();
  await memory.clock.advance(500);
  memory.away = undefined;
  await memory.clock.advance(5000);
  await drained;
  assert.ok(!memory.events.some(({ code }) => code === 'evictions-dropped'));
  assert.equal(cache.stats().evictionsWaiting, 0);

  const second = await memory.cache({ drainWaitMs: 100 });
  const others = open(second);
  memory.away = AWAY;
  await others.evict(ID);
  const givenUp = second.drain();
  await memory.clock.advance(101);
  await givenUp;
  assert.deepEqual([second.stats().evictionsLost, second.stats().evictionsWaiting], [1, 0]);
  assert.match(memory.events.find(({ code }) => code === 'evictions-dropped')?.message ?? '', /There were 1\./);
});

test('one eviction whose key can be printed no more holds up no other, and one beyond the limit is called lost', async () => {
  const cache = await memory.cache({ keptEvictionsMax: 2 }, { breaker: () => closedBreaker() });
  const notes = open(cache, 'note', async () => ({ v: 1 }));
  memory.away = AWAY;
  assert.deepEqual([await notes.evict({ id: 'no-number' }), await notes.evict({ id: '7' })], ['kept', 'kept']);
  assert.equal(await notes.evict({ id: '8' }), 'lost');
  memory.away = undefined;
  await memory.begin({ note: integerNotes() });
  await notes.get({ id: '9' });
  await memory.clock.advance(2000);
  assert.equal(cache.stats().evictionsWaiting, 0);
});

test('an eviction before the region’s types are known is of the key as the region prints it', async () => {
  await memory.begin({ note: integerNotes() });
  const before = await memory.cache();
  const notes = open(before, 'note', async () => ({ v: 1 }));
  await notes.get({ id: '7' });
  assert.deepEqual(await notes.peek({ id: '7' }), { v: 1 });
  const blind = await memory.cache({}, {}, new Map());
  assert.equal(await open(blind).evict({ id: '007' }), 'evicted');
  assert.equal(await notes.peek({ id: '7' }), undefined);
});

test('a token that cannot be reached fails its own caller, not who came to the same load, and is not remembered', async () => {
  const refuse = new BusError('READ_TOKEN_UNREACHED', 'behind');
  const cache = await memory.cache(
    { tokenWaitMs: 0 },
    {
      sourceOrigin: () => ({
        load: async (_, { token }) => {
          if (token !== undefined) throw refuse;
          return { value: { v: 1 }, evidence: { kind: 'primary' } };
        },
      }),
    },
  );
  const rows = cache.family<{ v: number }, { id: string }>('row');
  const forged = rows.get(ID, { token: 'ffffffff:0000000000000001' });
  const plain = rows.get(ID);
  await assert.rejects(forged, (error) => error === refuse);
  assert.deepEqual(await plain, { v: 1 });
  assert.deepEqual(await rows.get(ID), { v: 1 });
});

test('that Redis refuses a command is said with its reason, and said again after a while', async () => {
  const cache = await memory.cache({ failureMemoryMs: 0 });
  const notes = open(cache, 'note', async () => ({ v: 1 }));
  const said = (): number => memory.events.filter(({ code }) => code === 'redis-denied').length;
  memory.away = new BusError('REDIS_DENIED', 'NOPERM this user has no permissions');
  await notes.get(ID);
  await notes.get(ID);
  assert.equal(said(), 1);
  assert.match(memory.events.find(({ code }) => code === 'redis-denied')?.message ?? '', /NOPERM/);
  await memory.clock.advance(60_000);
  await notes.get(ID);
  assert.equal(said(), 2);
});

test('each read is counted once, as a hit of one kind or as a miss', async () => {
  const cache = await memory.cache({ failureMemoryMs: 0 });
  const notes = open(cache, 'note', async () => ({ v: 1 }));
  await notes.get(ID);
  await notes.get(ID);
  await notes.get(ID, { maxStalenessMs: 0 });
  await memory.clock.advance(10);
  await notes.get(ID, { maxStalenessMs: 5 });
  memory.away = AWAY;
  await notes.get(ID);
  await notes.evict(ID);
  await notes.get(ID);
  const { reads, hits, staleHits, localHits, misses } = cache.stats();
  assert.equal(reads, 6);
  assert.equal(hits + staleHits + localHits + misses, reads);
  await assert.rejects(notes.get(ID, { maxStalenessMs: Number.NaN }), { code: 'CACHE_OPTION_INVALID' });
});

test('a value that a read brought while its eviction was under way is no last value', async () => {
  const cache = await memory.cache({ loadsMax: 1, loadQueueMax: 0 }, { breaker: () => closedBreaker() });
  const slow = open(cache, 'slow');
  const first = slow.get(ID);
  await loader.answer({ v: 1 });
  await first;
  const answer = memory.holdNextRead();
  const crossing = slow.get(ID);
  await quiet();
  memory.evictAway = AWAY;
  const evict = memory.holdNextEvict();
  const evicting = slow.evict(ID);
  answer.resolve();
  assert.deepEqual(await crossing, { v: 1 });
  evict.resolve();
  await evicting;
  const busy = open(cache, 'note').get({ id: 'b' });
  await loader.called(1);
  await assert.rejects(slow.get(ID), { code: 'CACHE_OVERLOADED' });
  await loader.answer({ v: 2 }, 1);
  await busy;
});

test('an object of parameters that its owner changes while it is read stores nothing under the key that it was', async () => {
  const notes = open(await memory.cache());
  const params = { id: 'a' };
  const reading = assert.rejects(notes.get(params), { code: 'KEY_PARAMETER_INVALID' });
  const others = notes.get({ id: 'a' });
  params.id = 'b';
  await reading;
  await loader.answer({ v: 1 });
  assert.deepEqual(await others, { v: 1 }, 'who came to the same load has a load of his own');
  assert.equal(loader.calls.length, 1);
});

test('while an eviction is kept nobody is given what a load that waits reads of the key', async () => {
  const [other, cache] = [await memory.cache(), await memory.cache({}, { breaker: () => closedBreaker() })];
  const filling = new ScriptedLoader();
  const filled = open(other, 'note', filling.load).get(ID);
  await filling.called();
  const notes = open(cache);
  const before = notes.get(ID);
  await quiet();
  memory.evictAway = AWAY;
  assert.equal(await notes.evict(ID), 'kept');
  const after = notes.get(ID);
  await quiet();
  await filling.answer({ v: 1 });
  await filled;
  // Less than the next try of the eviction, more than the next look of the load.
  await memory.clock.advance(30);
  await loader.answer({ v: 2 });
  assert.deepEqual(await Promise.all([before, after]), [{ v: 2 }, { v: 2 }]);
  memory.evictAway = undefined;
});

test('where the region is too far behind for a read, a load that began before it is too', async () => {
  const [cache, other] = [await memory.cache(), await memory.cache()];
  const notes = open(cache);
  const first = notes.get(ID);
  await loader.called();
  await memory.clock.advance(2000);
  const own = notes.get(ID, { maxStalenessMs: 1000 });
  const others = new ScriptedLoader();
  const elsewhere = open(other, 'note', others.load).get(ID, { maxStalenessMs: 1000 });
  const patient = notes.get(ID, { maxStalenessMs: 5000 });
  await others.answer({ v: 2 });
  await quiet();
  await loader.answer({ v: 1 });
  await loader.answer({ v: 2 }, 1);
  assert.deepEqual(await Promise.all([first, patient]), [{ v: 1 }, { v: 1 }]);
  assert.deepEqual(await Promise.all([own, elsewhere]), [{ v: 2 }, { v: 2 }]);
});

test('nor will a load do that began before it behind a value past its time', async () => {
  const [holder, cache] = [await memory.cache(), await memory.cache()];
  const slow = open(holder, 'slow');
  const first = slow.get(ID);
  await loader.answer({ v: 1 });
  await first;
  await memory.clock.advance(1500);
  await slow.get(ID);
  await loader.called(1);
  await memory.clock.advance(1500);
  const own = new ScriptedLoader();
  const reading = open(cache, 'slow', own.load).get(ID, { maxStalenessMs: 1000 });
  await own.answer({ v: 2 });
  await loader.answer({ v: 1 }, 1);
  assert.deepEqual(await reading, { v: 2 });
});
