import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function readYourWrites({ cache, pool, open }: Example): Promise<void> {
  const writer = cache.family<User, { id: number }>('user');
  // Another process, as the next request of the same user may meet; the token goes there in a cookie, say.
  const reader = (await open()).family<User, { id: number }>('user');
  for (const name of ['Anna', 'Annie', 'Annabel']) {
    await reader.get({ id: 1 });
    await pool.query('update users set name = $1 where id = 1', [name]);
    const token = await cache.afterWrite(); // after COMMIT
    const users = await Promise.all([reader.get({ id: 1 }, { token }), writer.get({ id: 1 }, { token })]);
    console.log(`Written: ${name}; read with the token: ${users.map((user) => user?.name).join(', ')}`);
    assert.deepEqual(
      users.map((user) => user?.name),
      [name, name],
    );
  }
}
