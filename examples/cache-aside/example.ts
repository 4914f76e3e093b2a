import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function cacheAside({ cache, pool }: Example): Promise<void> {
  const users = cache.family<User, { id: number }>('user');
  console.log('Read, loaded and stored:', await users.get({ id: 1 }));
  assert.equal((await users.get({ id: 1 }))?.name, 'Ann');
  assert.equal(cache.stats().hits, 1);

  // The library's transaction: whoever reads once `write` has returned is given the new row.
  await users.write({ id: 1 }, (tx) => tx.query('update users set name = $2 where id = $1', [1, 'Anna']));
  console.log('Written and evicted:', await users.get({ id: 1 }));
  assert.equal((await users.get({ id: 1 }))?.name, 'Anna');

  // A transaction of the application's own: evict after its COMMIT, or leave it to the bus.
  await pool.query(`update users set name = 'Annabel' where id = 1`);
  assert.equal(await users.evict({ id: 1 }), 'evicted');
  console.log('Evicted by hand:', await users.get({ id: 1 }));
  assert.equal((await users.get({ id: 1 }))?.name, 'Annabel');

  // What the work throws takes the transaction back, and nothing is evicted.
  const failing = users.write({ id: 1 }, async (tx) => {
    await tx.query(`update users set name = 'never' where id = 1`);
    throw new Error('no');
  });
  await assert.rejects(failing, /no/);
  assert.equal((await users.get({ id: 1 }))?.name, 'Annabel');
  assert.equal(cache.stats().evictions, 2);
}
