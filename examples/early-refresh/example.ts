import assert from 'node:assert/strict';
import type { Example } from '../example.ts';

export default async function earlyRefresh({ cache, until }: Example): Promise<void> {
  // The load takes a fifth of a second: the dearer it is, the sooner one of the readers draws the refresh.
  const totals = cache.family<{ at: string }, { id: number }>('total');
  const first = await totals.get({ id: 1 });
  await until('one reader has drawn it', async () => {
    await totals.get({ id: 1 });
    return cache.stats().earlyLoads > 0;
  });
  const { misses, loads } = cache.stats();
  const next = await until('the value is new', async () => {
    const value = await totals.get({ id: 1 });
    return value?.at !== first?.at && value;
  });
  console.log(
    `Loaded as ${first?.at}, refreshed as ${next.at}; reads that waited: ${misses}, of ${cache.stats().reads}`,
  );
  assert.deepEqual([misses, loads], [1, 2], 'the first read, and one behind the others');
}
