import { LRUCache } from 'lru-cache';
import { Redis } from 'ioredis';
import type { Load, PeerCache, Row } from './adapter.ts';
import { type LocalHits, type RedisHits, rowOf } from './calls.ts';
import { median } from './median.ts';

const ROUNDS = 5;
const LOCAL_KEYS = 1000;
const LOCAL_HITS_MAX = 1_000_000;
/** A slow library gets fewer hits a round, so that the run ends: the figure is a mean over the round either way. */
const LOCAL_ROUND_CPU_MS = 500;
const CALIBRATION_HITS = 5000;
const REDIS_KEYS = 100;
const REDIS_HITS = 5000;
/**
 * Hits that may turn out to be none, since a deadline a command passes where the machine is busy elsewhere. They are counted and reported.
 */
const LOADS_PER_HIT_MAX = 0.001;

/** CPU of this process, user and system, with that of its garbage collector, per repetition. */
async function cpuUs(repetitions: number, work: (index: number) => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let index = 0; index < repetitions; index++) await work(index);
  const used = process.cpuUsage(before);
  return (used.user + used.system) / repetitions;
}

function syncCpuUs(repetitions: number, work: (index: number) => unknown): number {
  const before = process.cpuUsage();
  for (let index = 0; index < repetitions; index++) work(index);
  const used = process.cpuUsage(before);
  return (used.user + used.system) / repetitions;
}

/** Puts the keys in place, and gives a loader that counts how often it is asked although they are. */
async function filled(cache: PeerCache, keys: readonly string[]): Promise<{ load: Load; loads(): number }> {
  for (const key of keys) await cache.get(key, async () => rowOf(key, 1));
  let loads = 0;
  const load = async (): Promise<Row> => {
    loads++;
    return rowOf('loaded', 1);
  };
  return { load, loads: () => loads };
}

function judged(loads: number, hits: number): number {
  if (loads > hits * LOADS_PER_HIT_MAX) throw new Error(`${loads} of ${hits} reads that were to be hits were loads`);
  return loads;
}

export async function measureLocalHits(cache: PeerCache): Promise<LocalHits> {
  const keys = Array.from({ length: LOCAL_KEYS }, (_, index) => `local:${index}`);
  const { load, loads } = await filled(cache, keys);
  const floor = new LRUCache<string, Row>({ max: 10_000 });
  for (const key of keys) floor.set(key, rowOf(key, 1));
  const keyAt = (index: number): string => keys[index % LOCAL_KEYS] ?? '';
  const hit = (index: number): unknown => cache.get(keyAt(index), load);
  await cpuUs(CALIBRATION_HITS, hit);
  const expectedUs = await cpuUs(CALIBRATION_HITS, hit);
  const affordable = Math.round((LOCAL_ROUND_CPU_MS * 1000) / expectedUs);
  const hitsPerRound = Math.min(LOCAL_HITS_MAX, affordable);
  const us: number[] = [];
  const lruCacheUs: number[] = [];
  const lruCacheAwaitedUs: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    us.push(await cpuUs(hitsPerRound, hit));
    lruCacheUs.push(syncCpuUs(LOCAL_HITS_MAX, (index) => floor.get(keyAt(index))));
    lruCacheAwaitedUs.push(await cpuUs(LOCAL_HITS_MAX, (index) => floor.get(keyAt(index))));
  }
  return {
    hitsPerRound,
    loads: judged(loads(), hitsPerRound * ROUNDS),
    us: median(us),
    lruCacheUs: median(lruCacheUs),
    lruCacheAwaitedUs: median(lruCacheAwaitedUs),
  };
}

export async function measureRedisHits(cache: PeerCache, redisUrl: string): Promise<RedisHits> {
  const keys = Array.from({ length: REDIS_KEYS }, (_, index) => `redis:${index}`);
  const { load, loads } = await filled(cache, keys);
  const keyAt = (index: number): string => keys[index % REDIS_KEYS] ?? '';
  const redis = new Redis(redisUrl);
  for (const key of keys) await redis.set(`floor:${key}`, JSON.stringify(rowOf(key, 1)));
  const rounds = { us: [] as number[], ioredisGetUs: [] as number[] };
  // The first round of each warms the code, and is not counted.
  for (let round = 0; round <= ROUNDS; round++) {
    const us = await cpuUs(REDIS_HITS, (index) => cache.get(keyAt(index), load));
    const ioredisGetUs = await cpuUs(REDIS_HITS, (index) => redis.get(`floor:${keyAt(index)}`));
    if (round === 0) continue;
    rounds.us.push(us);
    rounds.ioredisGetUs.push(ioredisGetUs);
  }
  redis.disconnect();
  const judgedLoads = judged(loads(), REDIS_HITS * ROUNDS);
  return {
    hitsPerRound: REDIS_HITS,
    loads: judgedLoads,
    us: median(rounds.us),
    ioredisGetUs: median(rounds.ioredisGetUs),
  };
}
