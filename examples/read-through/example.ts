import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function readThrough({ cache, pool }: Example): Promise<void> {
  // The file has the loader: the application says which key it wants.
  const users = cache.family<User, { id: number }>('user');
  assert.deepEqual(await users.get({ id: 2 }), { id: '2', name: 'Bob', org_id: '7' });
  assert.equal((await users.inspect({ id: 2 })).verdict, 'hit');

  // The application has the loader: passed once, and called for nothing but misses.
  const members = cache.family<string[], { org_id: number }>('org-members', {
    reads: 'primary',
    load: async ({ org_id }, { signal }) => {
      signal.throwIfAborted();
      const { rows } = await pool.query<User>('select name from users where org_id = $1 order by name', [org_id]);
      return rows.map(({ name }) => name);
    },
  });
  console.log('Members of 7:', await members.get({ org_id: 7 }), await members.get({ org_id: 7 }));
  assert.deepEqual(await members.get({ org_id: 7 }), ['Ann', 'Bob']);
  assert.deepEqual([cache.stats().loads, cache.stats().hits], [2, 2]);

  // A fallback stands outside of `get`: then it is never stored.
  const rates = cache.family<number, { currency: string }>('rate', {
    reads: 'primary',
    load: () => Promise.reject(new Error('the bank is closed')),
  });
  const rate = await rates.get({ currency: 'EUR' }).catch(() => 1);
  console.log('A fallback:', rate, 'and in the cache:', await rates.peek({ currency: 'EUR' }));
  assert.equal(rate, 1);
  assert.equal(await rates.peek({ currency: 'EUR' }), undefined);
}
