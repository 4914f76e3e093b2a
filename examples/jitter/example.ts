import assert from 'node:assert/strict';
import type { Example } from '../example.ts';

const HOUR_MS = 3_600_000;

export default async function jitter({ cache }: Example): Promise<void> {
  const items = cache.family<{ id: number }, { id: number }>('item', { reads: 'primary', load: ({ id }) => ({ id }) });
  const list = Array.from({ length: 50 }, (_, id) => ({ id }));
  await items.getMany(list);
  const lefts = await Promise.all(list.map(async (params) => (await items.inspect(params)).ttlLeftMs ?? 0));
  const [first, last] = [Math.min(...lefts), Math.max(...lefts)];
  const minutes = (ms: number): string => (ms / 60_000).toFixed(1);
  console.log(`50 values stored at once end in ${minutes(first)} to ${minutes(last)} minutes; ttl 60, jitter 50%`);
  assert.ok(last <= HOUR_MS, 'never later than the ttl');
  assert.ok(last - first > HOUR_MS / 10, 'they do not end together');
}
