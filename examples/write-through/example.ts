import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function writeThrough({ cache, pool, settled }: Example): Promise<void> {
  const users = cache.family<User, { id: number }>('user');
  await users.get({ id: 1 });
  const written = await users.write(
    { id: 1 },
    async (tx) => {
      const { rows } = await tx.query('update users set name = $2 where id = $1 returning id, name, org_id', [
        1,
        'Anna',
      ]);
      return (rows[0] ?? null) as User | null;
    },
    { then: 'update' },
  );
  // The database first, then the store. The bus may be faster, with the commit's own record: then the store is refused, or evicted again, and a reader loads.
  const { writesStored, writesNotStored } = cache.stats();
  console.log(`Written: ${written?.name}; stored: ${writesStored}; read: ${(await users.get({ id: 1 }))?.name}`);
  assert.equal(writesStored + writesNotStored, 1);
  assert.deepEqual(await users.get({ id: 1 }), { id: '1', name: 'Anna', org_id: '7' });
  await settled();
  assert.equal((await users.get({ id: 1 }))?.name, 'Anna');

  // A null stores no absence: the key is evicted.
  const { evictions } = cache.stats();
  await users.write(
    { id: 3 },
    async (tx) => {
      await tx.query('delete from users where id = 3');
      return null;
    },
    { then: 'update' },
  );
  assert.deepEqual([cache.stats().writesStored, cache.stats().evictions], [writesStored, evictions + 1]);
  console.log('Deleted:', await users.get({ id: 3 }));
  assert.equal(await users.get({ id: 3 }), null);
  assert.equal((await pool.query('select from users where id = 3')).rowCount, 0);
}
