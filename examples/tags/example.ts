import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function tags({ cache, pool, run, until }: Example): Promise<void> {
  const members = cache.family<User, { id: number }>('member');
  const list = [{ id: 1 }, { id: 2 }, { id: 3 }];
  const held = async (): Promise<(string | undefined)[]> =>
    (await Promise.all(list.map((params) => members.peek(params)))).map((user) => user?.name);
  await members.getMany(list);
  assert.deepEqual(await held(), ['Ann', 'Bob', 'Cid']);

  // A row of another table makes every entry with its label old, by one mark, however many there are.
  await pool.query(`update orgs set name = 'Acme & Sons' where id = 7`);
  await until('what has the label org:7 is gone', async () => (await held())[0] === undefined);
  console.log('Organisation 7 was changed. Still in the cache:', await held());
  assert.deepEqual(await held(), [undefined, undefined, 'Cid']);

  // Or by hand: by way of Postgres's log, in order with every change.
  await run('invalidate', 'tag', 'org:8');
  await until('what has the label org:8 is gone', async () => (await held())[2] === undefined);
  console.log('`afterwrite invalidate tag org:8`. Still in the cache:', await held());
  assert.equal((await members.get({ id: 3 }))?.name, 'Cid');
}
