import assert from 'node:assert/strict';
import type { Example } from '../example.ts';

export default async function staleWhileRevalidate({ cache, until }: Example): Promise<void> {
  let version = 1;
  let loadMayEnd = Promise.resolve();
  const pages = cache.family<{ version: number }, { lang: string }>('front-page', {
    reads: 'primary',
    load: async () => {
      await loadMayEnd;
      return { version };
    },
  });
  assert.deepEqual(await pages.get({ lang: 'en' }), { version: 1 });

  const gate = Promise.withResolvers<void>();
  loadMayEnd = gate.promise;
  version = 2;
  const old = await until('its time is over', async () => {
    const page = await pages.get({ lang: 'en' });
    return cache.stats().staleHits === 1 && page;
  });
  const others = await Promise.all(Array.from({ length: 20 }, () => pages.get({ lang: 'en' })));
  console.log(`Past its time, while one reader reloads it: version ${old.version}, for ${others.length} more`);
  assert.deepEqual(new Set([old, ...others].map((page) => page?.version)), new Set([1]));

  gate.resolve();
  const page = await until('it is replaced', async () => {
    const now = await pages.get({ lang: 'en' });
    return now?.version === 2 && now;
  });
  console.log('And then: version', page.version);
  assert.equal(cache.stats().loads, 2, 'the first, and one behind them all');
  assert.equal(cache.stats().misses, 1, 'nobody but the first has waited');
}
