import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CellRefreshes } from '../../src/agent/refresh.ts';
import type { OwedRefresh } from '../../src/agent/region-store.ts';
import { FakeClock } from '../support/fake-clock.ts';

const ATTEMPTS = 10;
const live = new AbortController().signal;
const owedFor = (key: string, change = 1): OwedRefresh => ({ key, family: 'user', change: `${change} user` });

function stage(answer: (key: string) => boolean | Error, loads = (family: string): boolean => family === 'user') {
  const owed = new Map<string, OwedRefresh>();
  const clock = new FakeClock();
  const seen = { tried: [] as string[], refreshed: 0, failed: [] as unknown[] };
  const refreshes = new CellRefreshes(
    {
      store: {
        owedRefreshes: async () => ({ next: null, owed: [...owed.values()] }),
        clearRefresh: async (_, { key, change }) => {
          if (owed.get(key)?.change === change) owed.delete(key);
        },
      },
      refresher: {
        loads,
        refresh: async (_, key) => {
          seen.tried.push(key);
          const result = answer(key);
          if (result instanceof Error) throw result;
          return result;
        },
      },
      clock,
      random: () => 0.5,
      observer: {
        refreshed: () => void (seen.refreshed += 1),
        refreshFailed: (_, error) => void seen.failed.push(error),
      },
    },
    0,
  );
  return { owed, clock, seen, refreshes };
}

test('what is owed is loaded, each once, and owed no more', async () => {
  const { owed, seen, refreshes } = stage(() => true);
  for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) owed.set(key, owedFor(key));
  assert.equal(await refreshes.round(live), true);
  assert.deepEqual([seen.tried.toSorted().join(''), seen.refreshed, owed.size], ['abcdef', 6, 0]);
  assert.equal(await refreshes.round(live), false, 'nothing is left');
});

test('what fails is tried again, later each time, and given up in the end', async () => {
  const error = new Error('no database');
  const { owed, clock, seen, refreshes } = stage(() => error);
  owed.set('a', owedFor('a'));
  await refreshes.round(live);
  await refreshes.round(live);
  assert.equal(seen.tried.length, 1, 'not before its time');
  for (let rounds = 0; owed.size > 0; rounds++) {
    assert.ok(rounds < 2 * ATTEMPTS);
    await clock.advance(5000);
    await refreshes.round(live);
  }
  assert.equal(seen.tried.length, ATTEMPTS);
  assert.deepEqual(seen.failed, [error]);
});

test('what was changed again has all its attempts before it', async () => {
  const { owed, clock, seen, refreshes } = stage(() => false);
  for (let change = 1; change <= 3; change++) {
    owed.set('a', owedFor('a', change));
    for (let tries = 1; tries < ATTEMPTS; tries++) {
      await refreshes.round(live);
      await clock.advance(5000);
    }
  }
  assert.equal(seen.tried.length, 3 * (ATTEMPTS - 1));
  assert.ok(owed.has('a') && seen.failed.length === 0);
});

test('a change that comes while its key is loaded stays owed', async () => {
  const { owed, refreshes } = stage(() => {
    owed.set('a', owedFor('a', 2));
    return true;
  });
  owed.set('a', owedFor('a'));
  await refreshes.round(live);
  assert.equal(owed.get('a')?.change, '2 user');
});

test('what another process loads is left to it', async () => {
  const { owed, seen, refreshes } = stage(
    () => true,
    () => false,
  );
  owed.set('a', owedFor('a'));
  assert.equal(await refreshes.round(live), false);
  assert.deepEqual([seen.tried, owed.size], [[], 1]);
});
