import assert from 'node:assert/strict';
import { fileURLToPath } from 'node:url';
import type { Example } from '../example.ts';

interface Feed {
  readonly at: Date;
  readonly posts: readonly string[];
}

const NEXT_RELEASE = fileURLToPath(new URL('next-release.yaml', import.meta.url));

export default async function codecs({ config, cache, redis, open }: Example): Promise<void> {
  const at = new Date('2026-02-28T12:00:00Z');
  const posts = Array.from({ length: 200 }, (_, i) => `Post ${i}`);
  let loads = 0;
  const load = (): Feed => {
    loads += 1;
    return { at, posts };
  };
  const feeds = cache.family<Feed, { id: number }>('feed', { reads: 'primary', load });
  await feeds.get({ id: 1 });
  assert.deepEqual(await feeds.get({ id: 1 }), { at, posts }, 'MessagePack keeps a date, which JSON does not');
  const [bytes, asJson] = [await redis.strlen('shop:feed:1'), JSON.stringify({ at, posts }).length];
  console.log(`${bytes} bytes in Redis, header included; as JSON ${asJson}`);
  assert.ok(bytes < asJson / 2);

  // The next release changes the values' shape, and says so: it never meets an old one.
  const files = config.map((file) => (file.endsWith('codecs/families.yaml') ? NEXT_RELEASE : file));
  const next = (await open({ config: files })).family<Feed, { id: number }>('feed', { reads: 'primary', load });
  assert.equal(await next.peek({ id: 1 }), undefined);
  await next.get({ id: 1 });
  console.log('The next release loads its own:', loads, 'loads');
  assert.equal(loads, 2);
  assert.deepEqual(await next.peek({ id: 1 }), { at, posts });
}
