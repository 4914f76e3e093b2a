import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import type { Entry } from '../../src/client/cache-store.ts';
import { encodePayload } from '../../src/client/codec.ts';
import { TrackedTier, type TrackedTierParts } from '../../src/client/tracked-tier.ts';
import { InvalidatedKeys } from '../../src/drivers/redis/invalidated-key.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { FakeClock } from '../support/fake-clock.ts';

const STALE_MS = 2000;
const LONG_MS = 1_000_000;
const LONG = { lifeMs: LONG_MS, leftMs: LONG_MS, readAtMs: undefined };

let clock: FakeClock;
let tier: TrackedTier;

beforeEach(() => {
  clock = new FakeClock();
  tier = open();
  tier.proven(clock.monotonicMs());
});

const open = (more: Partial<TrackedTierParts> = {}): TrackedTier =>
  new TrackedTier({ clock, cells: 2, entriesMax: 100, staleMs: STALE_MS, values: 'copied', ...more });
const entry = (key: string, cell = 0): Entry => ({ family: 'f', key, cell, bucket: 0, hash: 0, isPlain: false });
const put = (key: string, cell = 0, lifeMs = LONG_MS): void =>
  tier.put(entry(key, cell), '{"v":1}', tier.sending(), { lifeMs, leftMs: lifeMs, readAtMs: undefined });

test('a value is served while the last proof that all was told is younger than the bound, and not a moment longer', async () => {
  put('a');
  await clock.advance(STALE_MS - 1);
  assert.deepEqual(tier.get('a'), { v: 1 });
  await clock.advance(1);
  assert.equal(tier.get('a'), undefined);
  tier.proven(clock.monotonicMs());
  assert.equal(tier.get('a'), undefined, 'it was dropped, and not hidden');
});

test('the age of a proof is that of what was sent, not of its answer', async () => {
  put('a');
  const sentMs = clock.monotonicMs();
  await clock.advance(1500);
  tier.proven(sentMs);
  await clock.advance(499);
  assert.deepEqual(tier.get('a'), { v: 1 });
  await clock.advance(1);
  assert.equal(tier.get('a'), undefined);
});

test('each proof puts the end off', async () => {
  put('a');
  for (let second = 0; second < 10; second++) {
    await clock.advance(1000);
    tier.proven(clock.monotonicMs());
    assert.deepEqual(tier.get('a'), { v: 1 });
  }
});

test('a value lives no longer than its family’s local time', async () => {
  put('a', 0, 1000);
  await clock.advance(999);
  assert.deepEqual(tier.get('a'), { v: 1 });
  await clock.advance(1);
  assert.equal(tier.get('a'), undefined);
  put('b', 0, 0);
  assert.equal(tier.get('b'), undefined);
});

test('what was heard of a key between the sending of a read and its answer keeps the answer out, and of other keys does not', () => {
  const sending = tier.sending();
  tier.key('a');
  tier.put(entry('a'), '1', sending, LONG);
  tier.put(entry('b'), '1', sending, LONG);
  assert.equal(tier.get('a'), undefined);
  assert.equal(tier.get('b'), 1);
  put('a');
  assert.deepEqual(tier.get('a'), { v: 1 }, 'a read that was sent later is taken');
});

test('a cell’s state that changes takes out what is held of the cell, and keeps out what is under way', () => {
  put('a', 0);
  put('b', 1);
  const sending = tier.sending();
  tier.state(0);
  tier.put(entry('c', 0), '1', sending, LONG);
  tier.put(entry('d', 1), '1', sending, LONG);
  assert.equal(tier.get('a'), undefined);
  assert.equal(tier.get('c'), undefined);
  assert.deepEqual(tier.get('b'), { v: 1 });
  assert.equal(tier.get('d'), 1);
});

test('after a loss nothing is served, and nothing enters that was sent before all is told again', () => {
  put('a');
  const before = tier.sending();
  tier.lost();
  assert.equal(tier.get('a'), undefined);
  const between = tier.sending();
  tier.put(entry('b'), '1', between, LONG);
  tier.proven(clock.monotonicMs());
  tier.put(entry('c'), '1', before, LONG);
  tier.put(entry('d'), '1', between, LONG);
  for (const key of ['a', 'b', 'c', 'd']) assert.equal(tier.get(key), undefined, key);
  put('e');
  assert.deepEqual(tier.get('e'), { v: 1 });
});

test('where everything may have changed it is empty, and what was under way does not enter', () => {
  put('a');
  const sending = tier.sending();
  tier.all();
  tier.put(entry('b'), '1', sending, LONG);
  assert.equal(tier.get('a'), undefined);
  assert.equal(tier.get('b'), undefined);
});

test('what is remembered of invalidated keys has a limit, and what is forgotten counts as heard', () => {
  const sending = tier.sending();
  tier.key('a');
  for (let i = 0; i < 10_000; i++) tier.key(`k${i}`);
  tier.put(entry('a'), '1', sending, LONG);
  tier.put(entry('never heard of'), '1', sending, LONG);
  assert.equal(tier.get('a'), undefined);
  assert.equal(tier.get('never heard of'), undefined);
  put('a');
  assert.deepEqual(tier.get('a'), { v: 1 });
});

test('no more values are kept than the limit', () => {
  tier = open({ entriesMax: 2 });
  tier.proven(clock.monotonicMs());
  for (const key of ['a', 'b', 'c']) put(key);
  assert.deepEqual(
    ['a', 'b', 'c'].map((key) => tier.get(key) !== undefined),
    [false, true, true],
  );
});

test('an absence is held as null; what is no JSON is not held', () => {
  tier.put(entry('a'), null, tier.sending(), LONG);
  tier.put(entry('b'), 'not JSON', tier.sending(), LONG);
  assert.equal(tier.get('a'), null);
  assert.equal(tier.get('b'), undefined);
});

test('copies are nobody else’s; what is shared is frozen to its depth', () => {
  put('a');
  (tier.get('a') as { v: number }).v = 2;
  assert.deepEqual(tier.get('a'), { v: 1 });
  tier = open({ values: 'shared' });
  tier.proven(clock.monotonicMs());
  tier.put(entry('a'), '{"list":[{"v":1}]}', tier.sending(), LONG);
  const value = tier.get('a') as { list: { v: number }[] };
  assert.equal(tier.get('a'), value);
  for (const part of [value, value.list, value.list[0]]) assert.ok(Object.isFrozen(part));
});

test('Redis’s names become news: values, what stands beside plain ones, states; our other records none', () => {
  for (const prefix of ['shop:', '']) {
    const keyspace = createKeyspace({ bus: 'shop', prefix, cells: 2, clustered: false });
    const told: string[] = [];
    const news = {
      key: (key: string) => void told.push(`key ${key}`),
      state: (cell: number) => void told.push(`state ${cell}`),
      all: () => void told.push('all'),
      proven: () => undefined,
      lost: () => undefined,
    };
    const keys = new InvalidatedKeys(keyspace);
    for (const name of [
      keyspace.valueKey('user:1,2', 1),
      keyspace.slotKey('plain:x', 1),
      keyspace.slotKey('plain::slot:x', 0),
      keyspace.state(1),
      keyspace.record(1),
      keyspace.pulse('x', 1),
    ])
      keys.tell(name, news);
    assert.deepEqual(told, ['key user:1,2', 'key plain:x', 'key plain::slot:x', 'state 1']);
  }
});

test('of values that are shared, one with bytes is copied still: bytes cannot be frozen', () => {
  const shared = open({ values: 'shared' });
  shared.proven(clock.monotonicMs());
  const payload = encodePayload({ v: new Uint8Array([1]) }, { name: 'f', codec: 'msgpack' });
  shared.put(entry('a'), payload, shared.sending(), LONG);
  const first = shared.get('a') as { v: Uint8Array };
  first.v[0] = 7;
  assert.deepEqual(shared.get('a'), { v: new Uint8Array([1]) });
});
