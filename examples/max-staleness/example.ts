import assert from 'node:assert/strict';
import { isBusError } from '../../src/index.ts';
import type { Example } from '../example.ts';

export default async function maxStaleness({ cache }: Example): Promise<void> {
  let isAway = false;
  let price = 10;
  const load = (): { price: number } => {
    if (isAway) throw new Error('the origin is away');
    return { price };
  };
  const quotes = cache.family<{ price: number }, { id: number }>('quote', { reads: 'primary', load });
  const prices = cache.family<{ price: number }, { id: number }>('price', { reads: 'primary', load });
  await Promise.all([quotes.get({ id: 1 }), prices.get({ id: 1 })]);

  // How far the region is behind the database, by its own measure, is inside the bound: the cache answers.
  assert.deepEqual(await quotes.get({ id: 1 }, { maxStalenessMs: 60_000 }), { price: 10 });
  assert.equal(cache.stats().tooStale, 0);

  // No region is as new as now: such a read goes to the origin, whatever is in the cache.
  price = 11;
  assert.deepEqual(await quotes.get({ id: 1 }, { maxStalenessMs: 0 }), { price: 11 });
  console.log('Behind by a minute at most: 10; not at all:', price, `(${cache.stats().tooStale} read past the cache)`);
  assert.equal(cache.stats().tooStale, 1);

  // Where the origin is away too, the family says which of two evils it is.
  isAway = true;
  const failed = await quotes.get({ id: 1 }, { maxStalenessMs: 0 }).catch((error: unknown) => error);
  assert.ok(isBusError(failed, 'CACHE_TOO_STALE'));
  const served = await prices.get({ id: 1 }, { maxStalenessMs: 0 });
  console.log(`The origin is away. too-stale: fail: ${failed.code}; too-stale: serve: ${served?.price}`);
  assert.deepEqual(served, { price: 10 });
}
