import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, ownRules } from '../support/cache-region.ts';
import { eventually } from '../support/eventually.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';

let server: RedisServer;
let region: CacheRegion;
let redis: ReturnType<CacheRegion['redis']>;
let loader: ScriptedLoader;

before(async () => {
  server = await startRedis();
  region = await CacheRegion.open(server.url);
});
beforeEach(async () => {
  redis = region.redis();
  await redis.flushall();
  await region.begin();
  loader = new ScriptedLoader();
});
afterEach(() => region.closeCaches());
after(async () => {
  await region?.close();
  await server?.stop();
});

const OLD = { v: 1 };
const NEW = { v: 2 };
const ID = { id: 'a1' };
const KEY = 'shop:note:a1';

/** What stands in Redis once a load that read the old value, and during which something happened, has ended. */
async function afterCrossing(happens: () => Promise<unknown>): Promise<{ served: unknown; stored: number }> {
  const cache = await region.cache();
  const notes = cache.family<{ v: number }, { id: string }>('note', { reads: 'primary', load: loader.load });
  const reading = notes.get(ID);
  await loader.called();
  await happens();
  await loader.answer(OLD);
  assert.deepEqual(await reading, OLD, 'the caller gets what was loaded');
  return { served: await notes.peek(ID), stored: cache.stats().stored };
}

test('a miss loads and stores, and the next read is answered by Redis, in this process and another', async () => {
  const notes = await region.family('note', loader.load);
  const reading = notes.get(ID);
  await loader.answer(OLD);
  assert.deepEqual(await reading, OLD);
  assert.deepEqual(await notes.get(ID), OLD);
  assert.deepEqual(await (await region.family('note', loader.load)).get(ID), OLD);
  assert.equal(loader.calls.length, 1);
});

test('a cache tells how warm its region is, as Redis says at that moment', async () => {
  const cache = await region.cache();
  assert.deepEqual(await cache.regionState(), {
    epoch: '',
    state: 'COLD',
    share: 0,
    reason: 'no gate',
    sinceMs: 0,
    admit: 0,
  });
  const store = await connectRegionStore(server.url, 'test', region.keyspace);
  await store.gate.markCold('E1', 'no gate was there');
  await store.gate.report('E1', 0.9);
  const { state, share, admit } = await cache.regionState();
  assert.deepEqual([state, share, admit], ['WARMING', 0.9, 0.5]);
  await store.close();
  await cache.drain();
  await assert.rejects(cache.regionState(), { code: 'CACHE_CLOSED' });
});

test('an absence is cached, and an eviction ends it', async () => {
  const notes = await region.family('note', loader.load);
  const reading = notes.get(ID);
  await loader.answer(null);
  assert.equal(await reading, null);
  assert.equal(await notes.peek(ID), null, 'known not to be');
  assert.equal(await notes.get(ID), null);
  await region.evict(['note:a1']);
  assert.equal(await notes.peek(ID), undefined, 'nothing known');
});

for (const [what, happens] of [
  ['a load that is crossed by an eviction by the bus is returned and not stored', () => region.evict(['note:a1'])],
  [
    'a load that is crossed by an eviction by the application is returned and not stored',
    async () => (await region.family('note', async () => NEW)).evict(ID),
  ],
  ['a load that is crossed by an operator’s DEL is returned and not stored', () => redis.del(KEY)],
  ['a load that is crossed by a family invalidation is returned and not stored', () => region.markFamily('note')],
  ['a load that is crossed by a new epoch is returned and not stored', () => region.begin()],
  ['a load that is crossed by FLUSHALL is returned and not stored', () => redis.flushall()],
  [
    'a load that is crossed by FLUSHALL and a new beginning is returned and not stored',
    () => redis.flushall().then(() => region.begin()),
  ],
  ['a load that is crossed by another service’s SET is returned and not stored', () => redis.set(KEY, 'theirs')],
  [
    'a load that is crossed by another process’s lease is returned and not stored',
    () => redis.set(KEY, `aw1 l e anothers`),
  ],
] as const)
  test(what, async () => {
    assert.deepEqual(await afterCrossing(happens), { served: undefined, stored: 0 });
  });

test('a load that nothing crosses is stored, so that the tests of what crosses prove something', async () => {
  assert.deepEqual(await afterCrossing(async () => region.apply()), { served: OLD, stored: 1 });
});

test('a value whose tag is invalidated during its load is not stored, and one whose tag is invalidated later is not served', async () => {
  const users = await region.family<{ org_id: number }>('user', async () => {
    await region.markTag('org:7');
    return { org_id: 7 };
  });
  await users.get({ id: 'u1' });
  assert.equal(await users.peek({ id: 'u1' }), undefined);
  const others = await region.family<{ org_id: number }>('user', async () => ({ org_id: 7 }));
  await others.get({ id: 'u1' });
  assert.deepEqual(await others.peek({ id: 'u1' }), { org_id: 7 });
  await region.markTag('org:8');
  assert.deepEqual(await others.peek({ id: 'u1' }), { org_id: 7 }, 'another tag');
  await region.markTag('org:7');
  assert.equal(await others.peek({ id: 'u1' }), undefined);
});

test('a value that lacks a label’s column is returned, counted and not stored', async () => {
  const cache = await region.cache();
  const users = cache.family<object, { id: string }>('user', { reads: 'primary', load: async () => ({ id: 'u2' }) });
  assert.deepEqual(await users.get({ id: 'u2' }), { id: 'u2' });
  assert.equal(await users.peek({ id: 'u2' }), undefined);
  assert.equal(cache.stats().labelsMissing, 1);
  assert.ok(region.events.some(({ code, message }) => code === 'label-missing' && message.includes('org_id')));
});

test('while the primary may not show an eviction yet, what is loaded is not stored; once it is settled, it is', async () => {
  await region.evict(['note:a1'], false);
  const notes = await region.family('note', async () => OLD);
  assert.deepEqual(await notes.get(ID), OLD);
  assert.equal(await notes.peek(ID), undefined);
  await region.apply();
  await notes.get(ID);
  assert.deepEqual(await notes.peek(ID), OLD);
});

test('a load waits a moment for the primary to settle, and then begins', async () => {
  await region.evict(['note:a1'], false);
  const notes = await region.family('note', loader.load, { settleWaitMs: 60_000 });
  const reading = notes.get(ID);
  await eventually('the lease', async () => (await redis.get(KEY))?.startsWith('aw1 l '));
  assert.equal(loader.calls.length, 0);
  await region.apply();
  await loader.answer(NEW);
  assert.deepEqual(await reading, NEW);
  assert.deepEqual(await notes.peek(ID), NEW);
});

test('a reader that began after an eviction never gets a load that began before it', async () => {
  const notes = await region.family('note', loader.load);
  const before = notes.get(ID);
  await loader.called(0);
  const joining = notes.get(ID);
  await eventually('the join', async () => (await notes.inspect(ID)).verdict === 'held');
  await region.evict(['note:a1']);
  const after = notes.get(ID);
  await loader.called(1);
  await loader.answer(OLD, 0);
  await loader.answer(NEW, 1);
  assert.deepEqual(await Promise.all([before, joining, after]), [OLD, OLD, NEW]);
  assert.equal(loader.calls.length, 2, 'who came before the eviction joined');
  assert.deepEqual(await notes.peek(ID), NEW);
});

test('readers of a key that is evicted all the time are never starved, and each gets a load that began after he came', async () => {
  const cache = await region.cache();
  let loads = 0;
  const notes = cache.family<{ v: number }, { id: string }>('note', {
    reads: 'primary',
    load: async () => {
      const v = ++loads;
      await region.evict(['note:a1']);
      return { v };
    },
  });
  const other = (await region.cache()).family<{ v: number }, { id: string }>('note', {
    reads: 'primary',
    load: async () => {
      await region.evict(['note:a1']);
      return { v: ++loads };
    },
  });
  for (let i = 0; i < 20; i++) {
    const came = loads;
    const got = await Promise.all([notes.get(ID), other.get(ID), notes.get(ID)]);
    for (const value of got) assert.ok((value?.v ?? 0) > came, `${value?.v} is newer than ${came}`);
  }
  assert.equal(cache.stats().stored, 0);
});

test('one load in the fleet: two processes of fifty callers each, and the waiters are told of its end', async () => {
  const [one, two] = [await region.cache(), await region.cache()];
  const families = [one, two].map((cache) =>
    cache.family<{ v: number }, { id: string }>('note', { reads: 'primary', load: loader.load }),
  );
  const first = families[0]?.get(ID);
  await loader.called();
  const callers = families.flatMap((family) => Array.from({ length: 50 }, () => family.get(ID)));
  await eventually('a marked lease', async () => (await redis.get(KEY))?.endsWith('!'));
  await loader.answer(OLD);
  for (const value of await Promise.all([first, ...callers])) assert.deepEqual(value, OLD);
  assert.equal(loader.calls.length, 1);
  assert.equal(two.stats().waitsAnswered, 1);
});

test('a waiter whose lease is voided loads by himself, after he came', async () => {
  const holder = await region.family('note', loader.load);
  const waiting = new ScriptedLoader();
  const waiter = await region.family('note', waiting.load);
  const held = holder.get(ID);
  await loader.called();
  const reading = waiter.get(ID);
  await eventually('a marked lease', async () => (await redis.get(KEY))?.endsWith('!'));
  await region.evict(['note:a1']);
  await waiting.answer(NEW);
  assert.deepEqual(await reading, NEW);
  await loader.answer(OLD);
  assert.deepEqual(await held, OLD);
  assert.deepEqual(await holder.peek(ID), NEW);
});

test('a failing load rejects every waiter with the same error, once, unchanged, and is remembered for a moment', async () => {
  const cache = await region.cache({ failureMemoryMs: 60_000 });
  const notes = cache.family('note', { reads: 'primary', load: loader.load });
  const callers = Array.from({ length: 10 }, () => notes.get(ID));
  const error = new Error('the database is down');
  await loader.fail(error);
  for (const result of await Promise.allSettled(callers)) assert.equal((result as PromiseRejectedResult).reason, error);
  await assert.rejects(notes.get(ID), (again) => again === error);
  assert.equal(loader.calls.length, 1);
  await notes.evict(ID);
  const reading = notes.get(ID);
  await loader.answer(NEW, 1);
  assert.deepEqual(await reading, NEW, 'an eviction ends the memory too');
});

test('a failed load gives its lease up, so that a waiter in another process need not wait for its end', async () => {
  const holder = await region.family('note', loader.load);
  const waiter = await region.family('note', async () => NEW);
  const held = holder.get(ID);
  await loader.called();
  const reading = waiter.get(ID);
  await eventually('a marked lease', async () => (await redis.get(KEY))?.endsWith('!'));
  await loader.fail(new Error('no'));
  await assert.rejects(held);
  assert.deepEqual(await reading, NEW);
});

test('a caller’s own abort ends his waiting alone; when nobody waits any more, the load’s signal is aborted', async () => {
  const notes = await region.family('note', loader.load);
  const [leaves, goesToo] = [new AbortController(), new AbortController()];
  const left = notes.get(ID, { signal: leaves.signal });
  await loader.called();
  const stays = notes.get(ID, { signal: goesToo.signal });
  await eventually('the join', async () => (await notes.inspect(ID)).verdict === 'held');
  leaves.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  assert.equal(loader.calls[0]?.signal.aborted, false);
  goesToo.abort(new Error('gone too'));
  await assert.rejects(stays, /gone too/);
  assert.equal(loader.calls[0]?.signal.aborted, true);
  await loader.answer(OLD);
});

test('a loader that ignores its deadline stores nothing afterwards, and keeps its place until it has ended', async () => {
  const cache = await region.cache({ loadTimeoutMs: 300, loadsMax: 1, failureMemoryMs: 0 });
  const notes = cache.family('note', { reads: 'primary', load: loader.load });
  await assert.rejects(notes.get(ID), { code: 'CACHE_LOAD_TIMEOUT' });
  assert.equal(loader.calls[0]?.signal.aborted, true);
  assert.equal(cache.stats().loadsUnderWay, 1, 'the database is still at it');
  await loader.answer(OLD);
  await eventually('the place', () => cache.stats().loadsUnderWay === 0);
  assert.equal(await notes.peek(ID), undefined);
});

test('another rule hash in the region: read through, not stored, said once, and over when the rules agree', async () => {
  await region.tell({ ...ownRules(), note: 'ffffffffffffffff text' });
  const notes = await region.family('note', async () => OLD);
  assert.deepEqual(await notes.get(ID), OLD);
  assert.deepEqual(await notes.get(ID), OLD);
  assert.equal(await redis.get(KEY), null);
  assert.equal((await notes.inspect(ID)).readThrough, 'rules');
  assert.equal(region.events.filter(({ code }) => code === 'rules-differ').length, 1);
  await region.begin();
  await notes.get(ID);
  assert.deepEqual(await notes.peek(ID), OLD);
  assert.ok(region.events.some(({ code }) => code === 'rules-agree'));
});

test('a family that the relay tells of no more is read through and not stored, by whatever file, until it is told again', async () => {
  const notes = await region.family('note', async () => OLD);
  await notes.get(ID);
  assert.deepEqual(await notes.peek(ID), OLD);
  const { note, ...others } = ownRules();
  await region.tell(others);
  assert.equal(await notes.peek(ID), undefined, 'nobody tells that it is old');
  assert.deepEqual(await notes.get(ID), OLD);
  assert.equal((await notes.inspect(ID)).readThrough, 'no rules yet');
  assert.ok(region.events.some(({ code, family }) => code === 'rules-differ' && family === 'note'));
  assert.equal(await notes.peek(ID), undefined, 'not stored');
  await region.tell({ ...others, note: note ?? '' });
  await notes.get(ID);
  assert.deepEqual(await notes.peek(ID), OLD);
});

test('a loader that declares nothing is read through and not stored, and says so', async () => {
  const cache = await region.cache();
  const notes = cache.family<{ v: number }, { id: string }>('note', { load: async () => OLD });
  assert.deepEqual(await notes.get(ID), OLD);
  assert.equal(await redis.get(KEY), null);
  assert.ok(region.events.some(({ code, family }) => code === 'unproven' && family === 'note'));
  assert.equal(cache.stats().readThrough, 1);
});

test('keys are printed by the types that the region publishes, also those that it publishes later', async () => {
  const hash = region.ruleText('note').split(' ')[0];
  const notes = await region.family('note', async () => OLD);
  await notes.get({ id: 'A1B2' });
  assert.ok(await redis.get('shop:note:A1B2'));
  await region.tell({ ...ownRules(), note: `${hash} uuid` });
  const id = '6F1C0F5E-5D1E-4F0B-9D56-3F6F4C1F2A10';
  await notes.get({ id });
  assert.ok(await redis.get(`shop:note:${id.toLowerCase()}`), 'as Postgres prints it');
  assert.equal(await redis.get(`shop:note:${id}`), null);
});

test('past its time to live a value is served while one reader loads behind it', async () => {
  const slow = await region.family('slow', loader.load);
  const first = slow.get(ID);
  await loader.answer(OLD);
  await first;
  // One second to live, five minutes stale: put the key past the second.
  await redis.pexpire('shop:slow:a1', 299_000);
  assert.deepEqual(await Promise.all([slow.get(ID), slow.get(ID)]), [OLD, OLD]);
  await loader.called(1);
  assert.equal((await slow.inspect(ID)).verdict, 'stale');
  assert.deepEqual(await slow.get(ID), OLD, 'under the lease too');
  await loader.answer(NEW, 1);
  await eventually('the new value', async () => (await slow.peek(ID))?.v === 2);
  assert.equal(loader.calls.length, 2);
});

test('a plain value stands in its key alone, and is as safe against the bus', async () => {
  const plain = await region.family('plain', loader.load);
  const reading = plain.get(ID);
  await loader.answer(OLD);
  assert.deepEqual(await reading, OLD);
  assert.equal(await redis.get('shop:plain:a1'), JSON.stringify(OLD));
  assert.deepEqual(await plain.get(ID), OLD);
  await region.evictPlain(['plain:a1']);
  const crossed = plain.get(ID);
  await loader.called(1);
  await region.evictPlain(['plain:a1']);
  await loader.answer(OLD, 1);
  await crossed;
  assert.equal(await plain.peek(ID), undefined);
});

test('a token is waited for, and past the cache in the end; what is read so is stored by the normal rules', async () => {
  const cache = await region.cache({ tokenWaitMs: 30 });
  const notes = cache.family<{ v: number }, { id: string }>('note', { reads: 'primary', load: loader.load });
  const first = notes.get(ID);
  await loader.answer(OLD);
  await first;
  const reached = region.tokenAt(region.lastLsn);
  assert.deepEqual(await notes.get(ID, { token: reached }), OLD, 'the region has seen it');
  const ahead = region.tokenAt(region.lastLsn + 5);
  const bypass = notes.get(ID, { token: ahead });
  await loader.answer(NEW, 1);
  assert.deepEqual(await bypass, NEW);
  assert.equal(cache.stats().tokenBypasses, 1);
  const waits = (await region.cache({ tokenWaitMs: 60_000 })).family('note', { reads: 'primary', load: loader.load });
  const waiting = waits.get(ID, { token: ahead });
  await region.evict(['note:a1']);
  await loader.answer(NEW, 2);
  assert.deepEqual(await waiting, NEW);
  await assert.rejects(notes.get(ID, { token: 'nonsense' }), { code: 'READ_TOKEN_INVALID' });
});

test('a reader with a token joins no load that may have begun before the token’s commit was visible', async () => {
  const notes = await region.family('note', loader.load);
  const early = notes.get(ID);
  await loader.called();
  const late = notes.get(ID, { token: region.tokenAt(region.lastLsn) });
  await eventually('the wait', async () => (await redis.get(KEY))?.endsWith('!'));
  await loader.answer(OLD);
  assert.deepEqual(await early, OLD);
  assert.deepEqual(await late, OLD, 'proven: it was stored');
});

test('a region that is too far behind is passed by; where the origin fails the family decides', async () => {
  region.behindMs = 60_000;
  await region.begin();
  region.behindMs = 0;
  const cache = await region.cache({ failureMemoryMs: 0 });
  let isDown = false;
  const load = async (): Promise<{ v: number }> => {
    if (isDown) throw new Error('down');
    return OLD;
  };
  const [notes, serve] = ['note', 'serve'].map((name) =>
    cache.family<{ v: number }, { id: string }>(name, { reads: 'primary', load }),
  );
  assert.ok(notes !== undefined && serve !== undefined);
  await notes.get(ID);
  await serve.get(ID);
  const options = { maxStalenessMs: 30_000 };
  assert.deepEqual(await notes.get(ID, options), OLD);
  assert.equal(cache.stats().tooStale, 1);
  isDown = true;
  await assert.rejects(notes.get(ID, options), { code: 'CACHE_TOO_STALE' });
  assert.deepEqual(await serve.get(ID, options), OLD);
  assert.deepEqual(await notes.get(ID, { maxStalenessMs: 3_600_000 }), OLD, 'new enough');
});

test('many keys are read in one flush, each loaded once', async () => {
  const notes = await region.family<{ v: string }>('note', async ({ id }) => ({ v: id }));
  const ids = Array.from({ length: 100 }, (_, i) => ({ id: String(i % 50) }));
  const values = await notes.getMany(ids);
  assert.deepEqual(
    values,
    ids.map(({ id }) => ({ v: id })),
  );
  assert.deepEqual(await notes.getMany(ids), values);
});

test('inspect says why: nothing, a lease, a value, a mark', async () => {
  const notes = await region.family('note', loader.load);
  assert.deepEqual([(await notes.inspect(ID)).verdict, (await notes.inspect(ID)).why], ['miss', 'absent']);
  const reading = notes.get(ID);
  await loader.called();
  assert.equal((await notes.inspect(ID)).verdict, 'held');
  assert.ok((await notes.inspect(ID)).lease);
  await loader.answer(OLD);
  await reading;
  const hit = await notes.inspect(ID);
  assert.deepEqual([hit.verdict, hit.readThrough, hit.epoch.cell === hit.epoch.value], ['hit', undefined, true]);
  assert.ok((hit.ttlLeftMs ?? 0) > 0 && (hit.ttlLeftMs ?? 0) <= 300_000);
  await region.markFamily('note');
  const marked = await notes.inspect(ID);
  assert.deepEqual([marked.verdict, marked.why], ['miss', 'mark']);
  assert.ok((marked.marks.family ?? 0) > (marked.stamp ?? 0));
});

test('inspect tells no staleness where a cell is as of no known time, and a read with a bound goes past it', async () => {
  const notes = await region.family('note', async () => NEW);
  await notes.get(ID);
  const { cell, stalenessMs } = await notes.inspect(ID);
  assert.ok(stalenessMs !== undefined);
  await redis.hset(region.keyspace.record(cell), 'asOf', '0');
  const seen = await notes.inspect(ID);
  assert.deepEqual([seen.verdict, seen.stalenessMs], ['hit', undefined]);
  const again = await region.family('note', async () => OLD);
  assert.deepEqual(await again.get(ID), NEW, 'a hit');
  assert.deepEqual(await again.get(ID, { maxStalenessMs: 3_600_000 }), OLD);
});

test('drain lets what is under way end, gives leases up, closes, and refuses what comes later', async () => {
  const cache = await region.cache();
  const notes = cache.family('note', { reads: 'primary', load: loader.load });
  const reading = notes.get(ID);
  await loader.called();
  const drained = cache.drain();
  assert.equal(cache.drain(), drained);
  await assert.rejects(notes.get(ID), { code: 'CACHE_CLOSED' });
  await loader.answer(OLD);
  assert.deepEqual(await reading, OLD);
  await drained;
  await eventually('no connection of the client', async () => {
    const list = String(await redis.client('LIST'));
    return !list.includes('afterwrite-client');
  });
  const late = await region.cache({ drainWaitMs: 0 });
  const stuck = late.family('note', { reads: 'primary', load: new ScriptedLoader().load }).get({ id: 'b' });
  await eventually('its lease', async () => (await redis.get('shop:note:b')) !== null);
  await Promise.all([assert.rejects(stuck, { code: 'CACHE_CLOSED' }), late.drain()]);
  assert.equal(await redis.get('shop:note:b'), null, 'the lease was given up');
});
