import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function local({ cache, pool, redis, until }: Example): Promise<void> {
  const users = cache.family<User, { id: number }>('near-user');
  await until('it is in the process’s memory', async () => {
    await users.get({ id: 1 });
    return cache.stats().localHits > 0;
  });
  const { loads } = cache.stats();
  console.log(`Answered from memory: ${(await users.get({ id: 1 }))?.name}; loads: ${loads}`);

  // Redis tells of every change of the key, by whomever.
  await pool.query(`update users set name = 'Anna' where id = 1`);
  await until('memory has forgotten the old value', async () => (await users.get({ id: 1 }))?.name === 'Anna');
  const before = cache.stats().localHits;
  await until('and has the new one', async () => {
    assert.equal((await users.get({ id: 1 }))?.name, 'Anna');
    return cache.stats().localHits > before;
  });
  await redis.del('shop:near-user:1');
  await until('a DEL is heard of too', async () => {
    await users.get({ id: 1 });
    return cache.stats().loads > loads + 1;
  });
  console.log('Told by Redis of the bus’s eviction and of a DEL;', cache.stats().localHits, 'reads from memory');
}
