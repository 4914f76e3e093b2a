import assert from 'node:assert/strict';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

export default async function warmUp({ cache, redis, run, killRedis, restartRedis, until }: Example): Promise<void> {
  const visitors = cache.family<User, { id: number }>('visitor');
  const published = async (): Promise<string> => run('hot-keys', '--region', 'eu', '--family', 'visitor');
  // What is read is told to the region every few seconds, and published outside of it.
  await until('what is read is published', async () => {
    await Promise.all([1, 2, 3].map((id) => visitors.get({ id })));
    return (await published()).includes('visitor:3');
  });

  await killRedis();
  await restartRedis();
  await until('an agent has seen it', async () => (await cache.regionState()).state === 'COLD');
  assert.equal(await visitors.peek({ id: 1 }), undefined, 'the region has come back empty');
  console.log((await run('warmup', '--region', 'eu')).trim().split('\n').at(-1));
  console.log('The region is', await cache.regionState(), 'and has', await visitors.peek({ id: 1 }));
  assert.equal((await cache.regionState()).admit, 1);
  assert.equal((await visitors.peek({ id: 1 }))?.name, 'Ann', 'nobody has read it since');
  assert.ok(await redis.exists('shop:visitor:1'), 'as any reader would have stored it');
}
