import type { LocalHits, RedisHits } from '../calls.ts';
import { inLab } from '../lab.ts';
import type { Scenario } from '../scenario.ts';

interface Result {
  readonly local: LocalHits & { readonly toLruCache: number };
  readonly redis: RedisHits & { readonly toIoredisGet: number };
}

export const cpu: Scenario<Result> = {
  number: 7,
  name: 'cpu',
  title:
    'CPU microseconds a hit (median of 5 rounds), and beside the floor of the same run: lru-cache get, ioredis GET',
  headings: ['local hit', 'lru-cache, awaited', 'ratio', 'Redis hit', 'ioredis GET', 'ratio'],
  run: (peer, settings) =>
    inLab(peer, settings, async ({ server, start }) => {
      const withMemory = await start('local');
      const local = await withMemory.call('measureLocalHits', {});
      await withMemory.kill();
      const withoutMemory = await start('redis');
      const redis = await withoutMemory.call('measureRedisHits', { redisUrl: server.url });
      return {
        local: { ...local, toLruCache: local.us / local.lruCacheAwaitedUs },
        redis: { ...redis, toIoredisGet: redis.us / redis.ioredisGetUs },
      };
    }),
  cells: ({ local, redis }) =>
    [local.us, local.lruCacheAwaitedUs, local.toLruCache, redis.us, redis.ioredisGetUs, redis.toIoredisGet].map(short),
};

function short(figure: number): string {
  return figure.toFixed(figure < 10 ? 2 : 1);
}
