import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function getMany({ cache, pool }: Example): Promise<void> {
  const asked: number[][] = [];
  const profiles = cache.family<{ name: string }, { id: number }>('profile', {
    reads: 'primary',
    loadMany: async (list) => {
      const ids = list.map(({ id }) => id);
      asked.push(ids);
      const { rows } = await pool.query<User>('select id, name from users where id = any($1)', [ids]);
      const byId = new Map(rows.map(({ id, name }) => [id, { name }]));
      return ids.map((id) => byId.get(String(id)) ?? null);
    },
  });
  await profiles.get({ id: 2 });
  const list = await profiles.getMany([{ id: 3 }, { id: 1 }, { id: 99 }, { id: 2 }]);
  console.log('In the order of the list:', list);
  console.log('What loadMany was asked for:', asked);
  assert.deepEqual(list, [{ name: 'Cid' }, { name: 'Ann' }, null, { name: 'Bob' }]);
  assert.deepEqual(asked, [[2], [3, 1, 99]], 'one call for all that is missing, and for nothing else');
  await profiles.getMany([{ id: 1 }, { id: 2 }, { id: 3 }]);
  assert.equal(asked.length, 2, 'all three are hits');
}
