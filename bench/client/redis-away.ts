import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { type Cache, createCache } from '../../src/index.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, FILE } from '../../test/support/cache-region.ts';
import { medianOf, rounded, type Row } from './row.ts';

const MISSES = 500;
const LOADS_MAX = 32;
const LOAD_MS = 20;
const ROUNDS = 7;

/** Loads under way at one time for 500 misses of as many keys, Redis killed; default options. */
export async function redisDown(): Promise<Row> {
  return withCache(async (cache, server) => {
    let inside = 0;
    let most = 0;
    const notes = cache.family('note', {
      reads: 'primary',
      load: async () => {
        most = Math.max(most, (inside += 1));
        await sleep(LOAD_MS);
        inside -= 1;
        return { v: 1 };
      },
    });
    await server.process?.stop('SIGKILL');
    const reads = await Promise.allSettled(Array.from({ length: MISSES }, (_, i) => notes.get({ id: `d${i}` })));
    const answered = reads.filter(({ status }) => status === 'fulfilled').length;
    return {
      what: `database concurrency for ${MISSES} misses, Redis down`,
      figure: `${most}; ${answered} answered`,
      target: String(LOADS_MAX),
      isMet: most === LOADS_MAX && answered === MISSES,
      data: { most, answered, misses: MISSES },
    };
  });
}

/** The first miss after Redis has frozen, by default options, less what the load itself takes; a new cache each round. */
export async function redisFrozen(): Promise<Row> {
  const over: number[] = [];
  for (let round = 0; round < ROUNDS; round++)
    over.push(
      await withCache(async (cache, server) => {
        const notes = cache.family('note', { reads: 'primary', load: () => sleep(LOAD_MS, { v: 1 }) });
        await notes.get({ id: 'warm' });
        server.process?.kill('SIGSTOP');
        const startedAt = performance.now();
        await notes.get({ id: 'cold' });
        const tookMs = performance.now() - startedAt;
        server.process?.kill('SIGCONT');
        return tookMs - LOAD_MS;
      }),
    );
  const [median, worst] = [rounded(medianOf(over), 1), rounded(Math.max(...over), 1)];
  return {
    what: 'miss while Redis is frozen, without the load, ms',
    figure: `median ${median}, max ${worst}`,
    target: '<= 60',
    isMet: median <= 60,
    data: { medianMs: median, maxMs: worst, rounds: over.map((ms) => rounded(ms, 1)), loadMs: LOAD_MS },
  };
}

async function withCache<T>(act: (cache: Cache, server: RedisServer) => Promise<T>): Promise<T> {
  const server = await startRedis();
  const region = await CacheRegion.open(server.url);
  await region.begin();
  await region.close();
  const redis = new Redis(server.url, { lazyConnect: true });
  const cache = await createCache({ config: { text: FILE }, region: 'eu', redis, onEvent: () => undefined });
  try {
    return await act(cache, server);
  } finally {
    await cache.drain();
    redis.disconnect();
    await server.stop();
  }
}
