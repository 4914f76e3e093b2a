import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function writeAround({ cache, until }: Example): Promise<void> {
  const users = cache.family<User, { id: number }>('user');
  await users.get({ id: 1 });
  await users.write({ id: 1 }, (tx) => tx.query(`update users set name = 'Anna' where id = 1`), { then: 'leave' });
  console.log('Just after the write:', (await users.get({ id: 1 }))?.name, '(Ann, or Anna if the bus was quicker)');
  await until('the bus has evicted it', async () => (await users.get({ id: 1 }))?.name === 'Anna');
  console.log('And then:', (await users.get({ id: 1 }))?.name);
  assert.equal(cache.stats().writes, 1);
  assert.equal(cache.stats().evictions, 0, 'the write sent nothing to Redis');
}
