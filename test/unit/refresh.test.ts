import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Cell } from '../../src/agent/cell.ts';
import { LEFT_CROWDING_MS, LEFT_KEYS_MAX, LEFT_MAX_MS } from '../../src/agent/left-refreshes.ts';
import {
  CellRefreshes,
  LOADS_NOTHING,
  type RefreshAnswer,
  refreshLoop,
  type RefreshParts,
} from '../../src/agent/refresh.ts';
import { RefreshQueue } from '../../src/agent/refresh-queue.ts';
import type { OwedRefresh } from '../../src/agent/region-store.ts';
import { FakeClock, quiet } from '../support/fake-clock.ts';

const ATTEMPTS = 10;
const LOAD_TIMEOUT_MS = 10_000;
const live = new AbortController().signal;
const owedFor = (key: string, change = 1, family = 'user'): OwedRefresh => ({
  key,
  family,
  change: `${change} ${family}`,
});

type Answer = RefreshAnswer | Error | 'hang';

function stage(answer: (key: string) => Answer, loads = (family: string): boolean => family !== 'other') {
  const owed = new Map<string, OwedRefresh>();
  const clock = new FakeClock();
  const seen = { tried: [] as string[], refreshed: 0, failed: [] as unknown[], left: [] as [string, number][] };
  const parts: RefreshParts = {
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
        if (result !== 'hang') return result;
        await clock.sleep(LOAD_TIMEOUT_MS, live);
        throw new Error('CACHE_LOAD_TIMEOUT');
      },
    },
    clock,
    random: () => 0.5,
    observer: {
      refreshed: () => void (seen.refreshed += 1),
      refreshFailed: (_, error) => void seen.failed.push(error),
      refreshesLeft: (family, keys) => void seen.left.push([family, keys]),
    },
  };
  const cell = new CellRefreshes(parts, 0, new RefreshQueue());
  const refreshes = {
    /** One look, and everything done that it set off and that needs no time. */
    round: async (signal: AbortSignal): Promise<boolean> => {
      const isLeft = await cell.round(signal);
      await quiet();
      return isLeft;
    },
  };
  return { owed, clock, seen, parts, refreshes };
}

/** The owner's loop over one cell, which is held from the start. */
function loop(parts: RefreshParts) {
  const stop = new AbortController();
  const cell = { cell: 0, refreshesMayBeOwed: true } as Cell;
  return { stop, cell, ended: refreshLoop({ ...parts, holdings: { cells: [cell] } }, stop.signal) };
}

test('what is owed is loaded, each once, and owed no more', async () => {
  const { owed, seen, refreshes } = stage(() => 'stored');
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
  const { owed, clock, seen, refreshes } = stage(() => 'not yet');
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
    return 'stored';
  });
  owed.set('a', owedFor('a'));
  await refreshes.round(live);
  assert.equal(owed.get('a')?.change, '2 user');
});

test('what another process loads is left to it', async () => {
  const { owed, seen, refreshes } = stage(
    () => 'stored',
    () => false,
  );
  owed.set('a', owedFor('a'));
  assert.equal(await refreshes.round(live), false);
  assert.deepEqual([seen.tried, owed.size], [[], 1]);
});

test('a family whose loader hangs keeps no other waiting, whatever it owes', async () => {
  const { owed, clock, seen, parts } = stage((key) => (key.startsWith('slow') ? 'hang' : 'stored'));
  for (let i = 0; i < 500; i++) owed.set(`slow${i}`, owedFor(`slow${i}`, 1, 'slow'));
  const { stop, cell, ended } = loop(parts);
  await clock.advance(100);
  for (let i = 0; i < 500; i++) owed.set(`user${i}`, owedFor(`user${i}`));
  cell.refreshesMayBeOwed = true;
  await clock.advance(LOAD_TIMEOUT_MS + 1000);
  assert.deepEqual([seen.refreshed, owed.size], [500, 500]);
  stop.abort();
  await ended;
});

test('of a family whose loader fails one load is tried at a time, and all again as soon as one has come through', async () => {
  let isDown = true;
  const { owed, clock, seen, parts } = stage(() => (isDown ? 'hang' : 'stored'));
  for (let i = 0; i < 50; i++) owed.set(`a${i}`, owedFor(`a${i}`));
  const { stop, ended } = loop(parts);
  await clock.advance(3 * LOAD_TIMEOUT_MS - 1000);
  assert.equal(seen.tried.length, 4 + 1 + 1);
  isDown = false;
  await clock.advance(LOAD_TIMEOUT_MS);
  assert.equal(owed.size, 0);
  stop.abort();
  await ended;
});

test('what is queued for a cell that was lost says nothing of its family’s loader', async () => {
  const { owed, clock, seen, parts } = stage(() => 'hang');
  for (let i = 0; i < 50; i++) owed.set(`a${i}`, owedFor(`a${i}`));
  const stop = new AbortController();
  const [lost, kept] = [{ cell: 0, refreshesMayBeOwed: true } as Cell, { cell: 1, refreshesMayBeOwed: true } as Cell];
  const cells = [lost, kept];
  const ended = refreshLoop({ ...parts, holdings: { cells } }, stop.signal);
  await clock.advance(LOAD_TIMEOUT_MS + 100);
  assert.equal(seen.tried.length, 4 + 1);
  cells.shift();
  await clock.advance(LOAD_TIMEOUT_MS);
  assert.equal(seen.tried.length, 4 + 1 + 1, 'one at a time as before');
  stop.abort();
  await ended;
});

test('an end waits for no load, and what it ends says nothing of its key', async () => {
  const { owed, clock, seen, parts } = stage(() => 'hang');
  owed.set('a', owedFor('a'));
  const { stop, ended } = loop(parts);
  await clock.advance(100);
  stop.abort();
  await ended;
  await clock.advance(ATTEMPTS * LOAD_TIMEOUT_MS);
  assert.deepEqual([seen.tried.length, seen.failed.length, owed.size], [1, 0, 1]);
});

test('a loss of the cell ends what is done for it', async () => {
  const { owed, clock, seen, parts } = stage(() => 'hang');
  for (let i = 0; i < 50; i++) owed.set(`a${i}`, owedFor(`a${i}`));
  const stop = new AbortController();
  const cells = [{ cell: 0, refreshesMayBeOwed: true } as Cell];
  const ended = refreshLoop({ ...parts, holdings: { cells } }, stop.signal);
  await clock.advance(100);
  cells.length = 0;
  await clock.advance(10 * LOAD_TIMEOUT_MS);
  assert.equal(seen.tried.length, 4);
  stop.abort();
  await ended;
});

test('what is another process’s by its file is neither given up nor counted, however often it is looked at', async () => {
  const { owed, clock, seen, refreshes } = stage(() => 'another file');
  owed.set('a', owedFor('a'));
  for (let i = 0; i < 3 * ATTEMPTS; i++) {
    assert.equal(await refreshes.round(live), i === 0);
    await clock.advance(5000);
  }
  assert.deepEqual([owed.size, seen.refreshed, seen.failed.length], [1, 0, 0]);
});

test('where there is nothing to store nothing is owed, and nothing was refreshed', async () => {
  const { owed, seen, refreshes } = stage(() => 'nothing');
  owed.set('a', owedFor('a'));
  await refreshes.round(live);
  assert.deepEqual([owed.size, seen.refreshed, seen.failed.length], [0, 0, 0]);
});

test('what nobody loads is given up by the cell’s owner, and told once', async () => {
  const { owed, clock, seen, parts } = stage(() => 'stored');
  owed.set('gone', owedFor('gone', 1, 'other'));
  owed.set('again', owedFor('again', 1, 'other'));
  const { stop, ended } = loop({ ...parts, refresher: LOADS_NOTHING });
  await clock.advance(LEFT_MAX_MS - 1000);
  owed.set('again', owedFor('again', 2, 'other'));
  await clock.advance(10_000);
  assert.deepEqual([[...owed.keys()], seen.left], [['again'], [['other', 1]]]);
  stop.abort();
  await ended;
});

test('what nobody loads leaves half of what a cell may owe to others', async () => {
  const { owed, clock, seen, parts } = stage(() => 'stored');
  for (let i = 0; i < LEFT_KEYS_MAX + 1000; i++) owed.set(`other${i}`, owedFor(`other${i}`, 1, 'other'));
  const { stop, ended } = loop(parts);
  await clock.advance(LEFT_CROWDING_MS - 1000);
  assert.deepEqual(seen.left, [], 'a worker that is there has its time');
  await clock.advance(10_000);
  assert.deepEqual([owed.size, seen.left], [LEFT_KEYS_MAX, [['other', 1000]]]);
  stop.abort();
  await ended;
});
