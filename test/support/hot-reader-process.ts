// node hot-reader-process.ts FILE REDIS NAME: an application that reads, until it is ended: one key by get, others by getMany, one from its own memory.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { createCache } from '../../src/index.ts';

const [file = '', url = '', name = ''] = process.argv.slice(2);
const cache = await createCache({ config: file, region: 'eu', redis: new Redis(url, { lazyConnect: true }) });
const load = async ({ id }: { id: string }): Promise<object> => {
  await sleep(3);
  return { id, text: 'x'.repeat(100) };
};
const users = cache.family<object, { id: string }>('user', { reads: 'primary', load });
const near = cache.family<object, { id: string }>('near', { reads: 'primary', load });
let isEnding = false;
process.once('SIGTERM', () => (isEnding = true));
for (let n = 0; !isEnding; n++) {
  await users.get({ id: '1' });
  await users.getMany([{ id: '2' }, { id: `${10 + (n % 5)}` }]);
  for (let i = 0; i < 5; i++) await near.get({ id: `of-${name}` });
  await sleep(20);
}
await cache.drain();
process.exit(0);
