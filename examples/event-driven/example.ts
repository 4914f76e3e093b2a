import assert from 'node:assert/strict';
import pg from 'pg';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function eventDriven({ cache, pool, settled, until }: Example): Promise<void> {
  const users = cache.family<User, { id: number }>('user');
  const teams = cache.family<User[], { org_id: number }>('team');
  const names = async (org_id: number): Promise<string[]> =>
    ((await teams.get({ org_id })) ?? []).map(({ name }) => name);
  await users.get({ id: 1 });
  assert.deepEqual([await names(7), await names(8)], [['Ann', 'Bob'], ['Cid']]);

  // Somebody with psql, who has never heard of a cache. What was taken back evicts nothing.
  const psql = new pg.Client({ connectionString: process.env['PG_URL'] });
  await psql.connect();
  await psql.query(`begin; update users set name = 'never' where id = 1; rollback`);
  await settled();
  assert.equal((await users.peek({ id: 1 }))?.name, 'Ann');

  // A user who moves makes three keys old: his own, and the lists of both organisations.
  await psql.query(`update users set name = 'Anna', org_id = 8 where id = 1`);
  await psql.end();
  await until('every key is new', async () => {
    const read = [(await users.get({ id: 1 }))?.name, await names(7), await names(8)];
    return JSON.stringify(read) === JSON.stringify(['Anna', ['Bob'], ['Anna', 'Cid']]);
  });
  console.log('One UPDATE in psql:', (await users.get({ id: 1 }))?.name, await names(7), await names(8));
  await pool.query('delete from users where id = 1');
  await until('a delete is a change too', async () => (await users.get({ id: 1 })) === null);
  assert.equal(cache.stats().evictions, 0, 'this process has evicted nothing');
}
