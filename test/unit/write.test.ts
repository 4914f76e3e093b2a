import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LocalTier } from '../../src/client/tier.ts';
import { MemoryCaches } from '../support/memory-cache.ts';
import { poolOf } from '../support/written-pool.ts';
import { quiet } from '../support/fake-clock.ts';
import { BusError } from '../../src/protocol/errors.ts';

const ID = { id: 'a1' };
const KEY = 'near-plain:a1';
const away = new BusError('REDIS_UNREACHABLE', 'away');

async function written(then: 'update' | 'evict', isAway: boolean): Promise<readonly string[]> {
  const happened: string[] = [];
  const tier: LocalTier = {
    get: () => undefined,
    sending: () => 0,
    put: () => undefined,
    drop: (key) => happened.push(`drop ${key}`),
  };
  const caches = new MemoryCaches();
  await caches.begin();
  const pool = poolOf((text) => happened.push(text.split(';')[0] ?? ''));
  const cache = await caches.cache({}, { tier, primary: pool });
  const family = cache.family<{ v: number }, { id: string }>('near-plain', { reads: 'primary', load: () => null });
  if (isAway) caches.away = away;
  const value = await family.write(ID, () => ({ v: 1 }), { then: then as 'update' });
  assert.deepEqual(value, { v: 1 });
  caches.away = undefined;
  await quiet();
  await caches.close();
  return happened.filter((what) => !what.startsWith('SELECT'));
}

for (const then of ['update', 'evict'] as const)
  for (const isAway of [false, true])
    test(`a write drops the process’s own value after COMMIT, and what a read brings meanwhile (${then}, Redis ${isAway ? 'away' : 'there'})`, async () => {
      assert.deepEqual(await written(then, isAway), ['BEGIN', 'COMMIT', `drop ${KEY}`, `drop ${KEY}`]);
    });

test('a lease that Redis gave no answer to costs the write its write-through, and nothing else', async () => {
  const caches = new MemoryCaches();
  await caches.begin();
  const cache = await caches.cache({}, { primary: poolOf(() => undefined) });
  const notes = cache.family<{ v: number }, { id: string }>('note', { reads: 'primary', load: () => ({ v: 2 }) });
  const held = caches.holdNextLease();
  const writing = notes.write(ID, () => ({ v: 1 }), { then: 'update' });
  await quiet();
  held.reject(away);
  assert.deepEqual(await writing, { v: 1 });
  assert.deepEqual(cache.stats().refusals, { unreachable: 1 });
  assert.deepEqual(await notes.get(ID), { v: 2 }, 'evicted, and no lease is left');
  assert.equal(cache.stats().stored, 1);
  await caches.close();
});
