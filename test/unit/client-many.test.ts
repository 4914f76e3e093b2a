import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { CacheLimits } from '../../src/client/options.ts';
import { eventually } from '../support/eventually.ts';
import { quiet } from '../support/fake-clock.ts';
import { MemoryCaches } from '../support/memory-cache.ts';
import { ScriptedLoader } from '../support/scripted-loader.ts';

interface Value {
  readonly v: string;
}
type Params = { id: string };

/** A `loadMany` that a test holds: each call waits until it is answered. */
class ManyLoader {
  readonly calls: { readonly ids: readonly string[]; readonly signal: AbortSignal }[] = [];
  readonly #answers: PromiseWithResolvers<readonly (Value | null)[]>[] = [];

  readonly loadMany = (list: readonly Params[], { signal }: { readonly signal: AbortSignal }) => {
    const answer = Promise.withResolvers<readonly (Value | null)[]>();
    this.#answers.push(answer);
    this.calls.push({ ids: list.map(({ id }) => id), signal });
    return answer.promise;
  };

  /** Answers call `number`, once it has come: by what is given, or each key with its own name. */
  async answer(number = 0, values?: readonly (Value | null)[]): Promise<readonly string[]> {
    await eventually(`call ${number} of loadMany`, () => this.calls.length > number);
    const ids = this.calls[number]?.ids ?? [];
    this.#answers[number]?.resolve(values ?? ids.map((v) => ({ v })));
    return ids;
  }

  async fail(error: unknown, number = 0): Promise<void> {
    await eventually(`call ${number} of loadMany`, () => this.calls.length > number);
    this.#answers[number]?.reject(error);
  }
}

let memory: MemoryCaches;
let many: ManyLoader;

beforeEach(async () => {
  memory = new MemoryCaches();
  many = new ManyLoader();
  await memory.begin();
});
afterEach(() => memory.close());

async function open(limits: Partial<CacheLimits> = {}, name = 'note') {
  const cache = await memory.cache(limits);
  const family = cache.family<Value, Params>(name, { reads: 'primary', loadMany: many.loadMany });
  return { cache, family };
}
const idsOf = (count: number): Params[] => Array.from({ length: count }, (_, i) => ({ id: `k${i}` }));
const values = (...ids: readonly string[]): Value[] => ids.map((v) => ({ v }));

test('all misses of a getMany are one loadMany, by position, and each is stored under its own key', async () => {
  const { cache, family } = await open();
  const one = family.get({ id: 'b' });
  assert.deepEqual(await many.answer(), ['b'], 'a single get asks for a list of one');
  await one;
  const read = family.getMany([{ id: 'a' }, { id: 'b' }, { id: 'c' }, { id: 'a' }, { id: 'd' }]);
  await many.answer(1, [{ v: 'a' }, null, { v: 'd' }]);
  assert.deepEqual(many.calls[1]?.ids, ['a', 'c', 'd'], 'a hit is not loaded, nor a key twice');
  assert.deepEqual(await read, [{ v: 'a' }, { v: 'b' }, null, { v: 'a' }, { v: 'd' }]);
  const known = await Promise.all(['a', 'b', 'c', 'd', 'e'].map((id) => family.peek({ id })));
  assert.deepEqual(known, [{ v: 'a' }, { v: 'b' }, null, { v: 'd' }, undefined]);
  const { loads, stored, joins } = cache.stats();
  assert.deepEqual({ loads, stored, joins }, { loads: 2, stored: 4, joins: 1 });
});

test('an eviction that crosses a loadMany voids the one key, and no other', async () => {
  const { cache, family } = await open();
  const read = family.getMany(idsOf(3));
  await eventually('the call', () => many.calls.length === 1);
  await family.evict({ id: 'k1' });
  await many.answer();
  assert.deepEqual(await read, values('k0', 'k1', 'k2'));
  assert.deepEqual(await Promise.all(idsOf(3).map((id) => family.peek(id))), [{ v: 'k0' }, undefined, { v: 'k2' }]);
  assert.deepEqual([cache.stats().stored, cache.stats().refusals.lease], [2, 1]);
});

test('a loadMany takes one place, however many keys it has', async () => {
  const { cache, family } = await open({ loadsMax: 1, loadQueueMax: 0 });
  const read = family.getMany(idsOf(3000));
  assert.equal((await many.answer()).length, 3000);
  assert.equal(cache.stats().loadsUnderWay, 1);
  assert.equal((await read).length, 3000);
  assert.equal(cache.stats().stored, 3000);
  await eventually('the place is given back', () => cache.stats().loadsUnderWay === 0);
});

test('where the gate is full the loadMany is refused, and the keys with it', async () => {
  const { cache, family } = await open({ loadsMax: 1, loadQueueMax: 0 });
  const other = family.get({ id: 'other' });
  await eventually('another load', () => many.calls.length === 1);
  await assert.rejects(family.getMany(idsOf(3)), { code: 'CACHE_OVERLOADED' });
  await many.answer();
  await other;
  const again = family.getMany(idsOf(3));
  await many.answer(1);
  assert.deepEqual(await again, values('k0', 'k1', 'k2'));
  assert.equal(cache.stats().loadsUnderWay, 0);
});

test('a family without loadMany loads a long list in turns: within the limit, without an overload, and beside other readers', async () => {
  const cache = await memory.cache({ loadsMax: 4, loadQueueMax: 8 });
  let under = 0;
  let most = 0;
  const load = async ({ id }: Params): Promise<Value> => {
    under += 1;
    most = Math.max(most, under);
    await new Promise<void>((resolve) => setImmediate(resolve));
    under -= 1;
    return { v: id };
  };
  const notes = cache.family<Value, Params>('note', { reads: 'primary', load });
  const list = idsOf(2000);
  const read = notes.getMany(list);
  await quiet();
  assert.deepEqual(await notes.get({ id: 'other' }), { v: 'other' });
  assert.deepEqual(await read, values(...list.map(({ id }) => id)));
  assert.deepEqual([most, cache.stats().overloads, cache.stats().stored], [4, 0, 2001]);
});

test('a list that is not one value or null a key is an error of all its keys; undefined is one of its own key', async () => {
  const { family } = await open({ failureMemoryMs: 0 });
  const short = family.getMany(idsOf(3));
  await many.answer(0, [{ v: 'k0' }]);
  await assert.rejects(short, { code: 'CACHE_VALUE_INVALID', message: /1 values for 3 keys/ });
  assert.equal(await family.peek({ id: 'k0' }), undefined);
  const holed = Promise.allSettled([family.getMany(idsOf(3)), quiet()]);
  await many.answer(1, [{ v: 'k0' }, undefined as never, { v: 'k2' }]);
  assert.equal((await holed)[0]?.status, 'rejected');
  await quiet();
  assert.deepEqual(await family.peek({ id: 'k2' }), { v: 'k2' });
  assert.equal(await family.peek({ id: 'k1' }), undefined);
});

test('keys that another process loads are waited for; those that it fails are asked for together', async () => {
  const loader = new ScriptedLoader<Value>();
  const other = (await memory.cache()).family<Value, Params>('note', { reads: 'primary', load: loader.load });
  const theirs = ['k0', 'k1', 'k2'].map((id) => other.get({ id }).catch(() => undefined));
  await loader.called(2);
  const { family } = await open();
  const read = family.getMany(idsOf(5));
  assert.deepEqual(await many.answer(), ['k3', 'k4'], 'what waits holds up nothing');
  await loader.answer({ v: 'theirs' }, 0);
  await loader.fail(new Error('down'), 1);
  await loader.fail(new Error('down'), 2);
  await Promise.all(theirs);
  const advancing = memory.clock.advance(1000);
  await many.answer(1);
  await advancing;
  assert.deepEqual(many.calls[1]?.ids, ['k1', 'k2']);
  assert.deepEqual(await read, values('theirs', 'k1', 'k2', 'k3', 'k4'));
});

test('the signal of a loadMany is aborted when nobody waits for any of its keys any more', async () => {
  const { family } = await open();
  const leaving = new AbortController();
  const read = family.getMany(idsOf(2), { signal: leaving.signal });
  await eventually('the call', () => many.calls.length === 1);
  const stays = family.get({ id: 'k1' });
  await quiet();
  leaving.abort(new Error('left'));
  await assert.rejects(read, /left/);
  assert.equal(many.calls[0]?.signal.aborted, false, 'somebody waits for k1');
  await many.answer();
  assert.deepEqual(await stays, { v: 'k1' });
  const alone = new AbortController();
  const second = family.getMany([{ id: 'x' }, { id: 'y' }], { signal: alone.signal });
  await eventually('the call', () => many.calls.length === 2);
  alone.abort(new Error('left'));
  await assert.rejects(second, /left/);
  assert.equal(many.calls[1]?.signal.aborted, true);
});

test('without Redis the misses are one loadMany too', async () => {
  const { cache, family } = await open({ loadsMax: 1, loadQueueMax: 0 });
  const { BusError } = await import('../../src/protocol/errors.ts');
  memory.away = new BusError('REDIS_UNREACHABLE', 'away');
  const read = family.getMany(idsOf(20));
  await many.answer();
  assert.equal((await read).length, 20);
  assert.equal(cache.stats().loads, 1);
});

test('values past their time are reloaded behind a getMany by one loadMany', async () => {
  const { family } = await open({}, 'slow');
  const first = family.getMany(idsOf(3));
  await many.answer();
  await first;
  await memory.clock.advance(1500);
  assert.deepEqual(await family.getMany(idsOf(3)), values('k0', 'k1', 'k2'));
  await memory.clock.advance(5);
  assert.deepEqual(await many.answer(1, values('n0', 'n1', 'n2')), ['k0', 'k1', 'k2']);
  await quiet();
  assert.deepEqual(await family.getMany(idsOf(3)), values('n0', 'n1', 'n2'));
  assert.equal(many.calls.length, 2);
});
