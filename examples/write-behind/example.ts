import assert from 'node:assert/strict';
import type { Example } from '../example.ts';

export default async function writeBehind({ cache, pool, start, until }: Example): Promise<void> {
  const views = cache.counter<{ post_id: number }>('views');
  const presence = cache.buffer<{ user_id: number }, { page: string }>('presence');

  // Resolved once it stands in the buffer's Redis. Nothing has reached Postgres yet: nobody flushes.
  await Promise.all(Array.from({ length: 1000 }, (_, i) => views.add({ post_id: i % 2 })));
  await presence.put({ user_id: 1 }, { page: '/' });
  await presence.put({ user_id: 1 }, { page: '/cart' });
  assert.equal((await pool.query('select from post_views')).rowCount, 0);
  console.log('1,000 calls are acknowledged; rows in Postgres: 0');

  await start('flush');
  const total = 'select coalesce(sum(views), 0)::int as views from post_views';
  await until('all of it is in Postgres', async () => {
    const { rows } = await pool.query<{ views: number }>(total);
    return (rows[0]?.views ?? 0) >= 1000;
  });
  const { rows } = await pool.query('select post_id::int, views::int from post_views order by post_id');
  console.log('Flushed:', rows);
  assert.deepEqual(rows, [
    { post_id: 0, views: 500 },
    { post_id: 1, views: 500 },
  ]);
  const page = await until('the row is in Postgres', async () => {
    const found = await pool.query<{ page: string }>('select page from presence where user_id = 1');
    return found.rows[0]?.page;
  });
  console.log('The last row of the key:', page);
  assert.equal(page, '/cart');
}
