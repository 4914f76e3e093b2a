import type { LocalHits, RedisHits } from '../calls.ts';
import { inLab, type Lab } from '../lab.ts';
import { type Scenario, type Unable, unable } from '../scenario.ts';

interface Result {
  readonly local: (LocalHits & { readonly toLruCache: number }) | Unable;
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
      const noMemory = peer.cannot('memory', settings);
      const local = noMemory === undefined ? await localHits(start) : unable(noMemory);
      const withoutMemory = await start('redis');
      const redis = await withoutMemory.call('measureRedisHits', { redisUrl: server.url });
      return {
        local,
        redis: { ...redis, toIoredisGet: redis.us / redis.ioredisGetUs },
      };
    }),
  cells: ({ local, redis }) => [
    ...('value' in local ? ['none', 'none', 'none'] : [local.us, local.lruCacheAwaitedUs, local.toLruCache].map(short)),
    ...[redis.us, redis.ioredisGetUs, redis.toIoredisGet].map(short),
  ],
};

async function localHits(start: Lab['start']): Promise<LocalHits & { readonly toLruCache: number }> {
  const withMemory = await start('local');
  const local = await withMemory.call('measureLocalHits', {});
  await withMemory.kill();
  return { ...local, toLruCache: local.us / local.lruCacheAwaitedUs };
}

function short(figure: number): string {
  return figure.toFixed(figure < 10 ? 2 : 1);
}
