import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';
import openFamilies from './loaders.ts';

export default async function refresh({ cache, pool, start, until }: Example): Promise<void> {
  // A family with a `source` is loaded anew by the agents, one with the application's loader by a worker with the application's module.
  const users = cache.family<User, { id: number }>('fresh-user');
  const cards = openFamilies(cache);
  await start('worker', fileURLToPath(new URL('loaders.ts', import.meta.url)), '--region', 'eu');
  await Promise.all([users.get({ id: 1 }), cards.get({ id: 1 })]);
  const { loads } = cache.stats();

  await pool.query(`update users set name = 'Anna' where id = 1`);
  await until('an agent has loaded it anew', async () => (await users.peek({ id: 1 }))?.name === 'Anna');
  await until('a worker has loaded it anew', async () => (await cards.peek({ id: 1 }))?.title === 'Card of Anna');
  console.log('Nobody has read:', await users.peek({ id: 1 }), await cards.peek({ id: 1 }));
  assert.equal(cache.stats().loads, loads, 'not by this process');
  assert.equal(await users.peek({ id: 2 }), undefined, 'what nobody had in the cache is not loaded');
  await Promise.all([users.get({ id: 1 }), cards.get({ id: 1 })]);
  assert.equal(cache.stats().hits, 2);
}
