import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function negativeCaching({ cache, pool, until }: Example): Promise<void> {
  const users = cache.family<User, { id: number }>('maybe-user');
  assert.equal(await users.get({ id: 99 }), null);
  assert.equal(await users.get({ id: 99 }), null);
  const { loads, hits } = cache.stats();
  const { ttlLeftMs = 0 } = await users.inspect({ id: 99 });
  console.log(`User 99 does not exist: asked twice, ${loads} load, ${hits} hit; forgotten in ${ttlLeftMs} ms at most`);
  assert.deepEqual([loads, hits], [1, 1]);
  assert.ok(ttlLeftMs > 0 && ttlLeftMs <= 30_000, 'absences are kept for `absent`, not for the ttl');

  await pool.query(`insert into users values (99, 'Zoe', 8)`);
  const user = await until('the insert has evicted the absence', () => users.get({ id: 99 }));
  console.log('Inserted:', user);
  assert.equal(user.name, 'Zoe');
}
