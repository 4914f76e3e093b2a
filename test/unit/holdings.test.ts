import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Holdings, type HoldingParts } from '../../src/agent/holdings.ts';
import type { RegionStore, TakeAnswer } from '../../src/agent/region-store.ts';

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
