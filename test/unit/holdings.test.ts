import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Distrust } from '../../src/agent/distrust.ts';
import { Holdings, type HoldingParts } from '../../src/agent/holdings.ts';
import type { LogReader } from '../../src/agent/from-log.ts';
import { LOOK_EVERY_MS } from '../../src/agent/ownership.ts';
import type { RegionStore, TakeAnswer } from '../../src/agent/region-store.ts';
import { FakeClock, quiet } from '../support/fake-clock.ts';

test('once a spell of connection is over, no cell is taken any more, not even by an answer that is still under way', async () => {
  const answer = Promise.withResolvers<TakeAnswer>();
  let asked = 0;
  const took: number[] = [];
  const store: Partial<RegionStore> = {
    take: () => {
      asked += 1;
      return answer.promise;
    },
  };
  const holdings = new Holdings({
    ports: { observer: { took: (cell: number) => took.push(cell) } },
    store,
    unfit: new Map(),
  } as unknown as HoldingParts);
  const taking = holdings.take(3, '');
  await holdings.abandonAll();
  answer.resolve({ kind: 'taken', stored: null });
  await taking;
  await holdings.take(4, '');
  assert.deepEqual([holdings.numbers, took, asked], [[], [], 1]);
});

/** Holdings of one cell that does nothing, in a region with so many other agents. */
async function leaving(others: number) {
  const clock = new FakeClock();
  const told: string[] = [];
  const store: Partial<RegionStore> = {
    take: async () => ({ kind: 'taken', stored: null }),
    dismiss: async () => {
      told.push('dismissed');
      return others;
    },
    release: async (cell) => void told.push(`released ${cell}`),
  };
  const reader: Partial<LogReader> = {
    take: async (cell) => void told.push(`reads ${cell}`),
    release: (cell) => void told.push(`reads no more ${cell}`),
    bounds: async () => [{ first: 0, next: 0 }],
  };
  const holdings = new Holdings({
    ports: { clock, observer: { took: () => undefined, gaveUp: () => undefined } },
    store,
    reader,
    unfit: new Map(),
    distrust: new Distrust(),
    fail: assert.ifError,
  } as unknown as HoldingParts);
  await holdings.take(0, '');
  await quiet();
  const gone = holdings.handOver(new AbortController().signal);
  await quiet();
  return { clock, told, gone };
}

test('a drained agent leaves the living first, and works on each cell until the others have had the time to look', async () => {
  const { clock, told, gone } = await leaving(1);
  await clock.advance(LOOK_EVERY_MS);
  assert.deepEqual(told, ['reads 0', 'dismissed']);
  await clock.advance(LOOK_EVERY_MS);
  await gone;
  assert.deepEqual(told, ['reads 0', 'dismissed', 'reads no more 0', 'released 0']);
});

test('a drained agent that is the last gives its cells back without waiting for anybody', async () => {
  const { told } = await leaving(0);
  assert.deepEqual(told, ['reads 0', 'dismissed', 'reads no more 0', 'released 0']);
});
