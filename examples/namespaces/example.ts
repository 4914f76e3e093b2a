import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import { setUpQuietly } from '../../src/cli/demo/quiet-setup.ts';
import type { Example } from '../example.ts';
import type { User } from '../user.ts';

const BLOG = fileURLToPath(new URL('blog.yaml', import.meta.url));

export default async function namespaces({ cache, redis, open, start, run, until }: Example): Promise<void> {
  // Another service, with a bus of its own on the same servers, and a family of the same name and the same keys.
  await setUpQuietly(BLOG);
  await start('agent', '--region', 'eu', '--config', BLOG);
  await start('relay', '--config', BLOG);
  const other = await open({ config: BLOG });
  const shop = cache.family<User, { id: number }>('user');
  const blog = other.family<{ id: string; page: string }, { id: number }>('user');
  const stored = await until('both are stored', async () => {
    await Promise.all([shop.get({ id: 1 }), blog.get({ id: 1 })]);
    const both = [await shop.peek({ id: 1 }), await blog.peek({ id: 1 })];
    return both.every((one) => one !== undefined) && both;
  });
  console.log('One key, two services:', stored);
  assert.equal(await redis.exists('shop:user:1', 'blog:user:1'), 2);

  await run('invalidate', 'family', 'user', '--config', BLOG);
  await until('the blog has forgotten all its users', async () => (await blog.peek({ id: 1 })) === undefined);
  console.log('The blog has forgotten its users; the shop:', (await shop.peek({ id: 1 }))?.name);
  assert.equal((await shop.peek({ id: 1 }))?.name, 'Ann');
  await until('the value is swept', async () => (await redis.exists('blog:user:1')) === 0);
  assert.equal(await redis.exists('shop:user:1'), 1);
}
