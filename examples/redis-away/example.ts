import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

const LOADS_MAX = 4;

export default async function redisAway({ open, killRedis, restartRedis, until }: Example): Promise<void> {
  const events: string[] = [];
  const cache = await open({
    commandTimeoutMs: 50, // the default
    loadsMax: LOADS_MAX,
    onEvent: ({ code }) => void events.push(code),
  });
  let [underWay, most] = [0, 0];
  const ratings = cache.family<{ id: number }, { id: number }>('rating', {
    reads: 'primary',
    load: async ({ id }) => {
      most = Math.max(most, ++underWay);
      await new Promise((resolve) => setImmediate(resolve));
      underWay -= 1;
      return { id };
    },
  });
  const users = cache.family<User, { id: number }>('user');
  await Promise.all([ratings.get({ id: 1 }), users.get({ id: 1 })]);

  await killRedis();
  try {
    // Reads are answered by the loader, no more of them at a time than the limit.
    const values = await Promise.all(Array.from({ length: 100 }, (_, id) => ratings.get({ id })));
    console.log(`Redis is dead: ${values.length} reads answered, ${most} loads at a time at most`);
    assert.deepEqual(
      values,
      values.map((_, id) => ({ id })),
    );
    assert.ok(most <= LOADS_MAX);
    // Writes succeed; their evictions are kept, and this process reads the key past Redis until they are sent.
    await users.write({ id: 1 }, (tx) => tx.query(`update users set name = 'Anna' where id = 1`));
    assert.equal((await users.get({ id: 1 }))?.name, 'Anna');
    assert.equal(cache.stats().evictionsKept, 1);
    await until('the breaker is open', async () => {
      await ratings.get({ id: 1 });
      return events.includes('redis-away');
    });
    console.log(
      `A write: read as ${(await users.get({ id: 1 }))?.name}; evictions that wait: ${cache.stats().evictionsWaiting}`,
    );
  } finally {
    await restartRedis();
  }
  const hits = await until('values come from Redis again', async () => {
    const before = cache.stats().hits;
    await ratings.get({ id: 1 });
    return cache.stats().hits > before && events.includes('redis-back');
  });
  await until('the eviction was sent', () => cache.stats().evictionsWaiting === 0);
  assert.equal((await users.get({ id: 1 }))?.name, 'Anna');
  console.log('Redis is back:', hits ? 'values come from it again' : '');
}
