import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function expire({ cache, pool, until }: Example): Promise<void> {
  const users = cache.family<User, { id: number }>('expired-user');
  await users.get({ id: 1 });
  await pool.query(`update users set name = 'Anna' where id = 1`);
  const seen: (string | undefined)[] = [];
  await until('the new value', async () => {
    seen.push((await users.get({ id: 1 }))?.name);
    return seen.at(-1) === 'Anna';
  });
  const { staleHits, misses } = cache.stats();
  console.log(`Served behind the change: ${staleHits} times Ann; then ${seen.at(-1)}; reads that waited: ${misses}`);
  assert.deepEqual(new Set(seen), new Set(['Ann', 'Anna']));
  assert.ok(staleHits >= 1);
  assert.equal(misses, 1, 'nobody but the first has waited');
}
