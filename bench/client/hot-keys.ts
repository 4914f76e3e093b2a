import { setTimeout as sleep } from 'node:timers/promises';
import type { Cache } from '../../src/client/cache.ts';
import { startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, LOCAL_FILE } from '../../test/support/cache-region.ts';
import { medianOf, rounded, type Row } from './row.ts';

const KEYS = 1000;
const ROUNDS = 41;
const NAMES = Array.from({ length: KEYS }, (_, i) => ({ id: `k${i}` }));
const VALUE = { org_id: 1, name: 'Ann Other', email: 'ann.other@example.org', note: 'x'.repeat(40) };
type Value = typeof VALUE;

/** CPU of a hit with its reads counted, beside one without: two caches in one process, in rounds that alternate, each pair in the other order. */
export async function hotKeys(): Promise<Row[]> {
  const server = await startRedis();
  const region = await CacheRegion.open(server.url);
  try {
    await region.begin();
    const [counted, uncounted] = await Promise.all([true, false].map((on) => openCache(region, on)));
    if (counted === undefined || uncounted === undefined) throw new Error('Two caches are needed.');
    return [
      await measured('local', [counted, uncounted], 50_000, 1),
      await measured('Redis', [counted, uncounted], 4000, 50),
    ];
  } finally {
    await region.close();
    await server.stop();
  }
}

const openCache = (region: CacheRegion, on: boolean): Promise<Cache> =>
  region.cache({ config: { text: LOCAL_FILE }, localValues: 'shared', hotKeys: on });

async function measured(
  kind: 'local' | 'Redis',
  caches: readonly [Cache, Cache],
  hits: number,
  callers: number,
): Promise<Row> {
  const reads = caches.map((cache) => {
    const family = cache.family<Value, { id: string }>(kind === 'local' ? 'near' : 'note', READER);
    return async (): Promise<number> => {
      await held(cache, kind, () => Promise.all(NAMES.map((params) => family.get(params))));
      const before = process.cpuUsage();
      let next = 0;
      const caller = async (): Promise<void> => {
        while (next < hits) await family.get(NAMES[next++ % KEYS] ?? { id: '' });
      };
      await Promise.all(Array.from({ length: callers }, caller));
      const { user, system } = process.cpuUsage(before);
      return (user + system) / hits;
    };
  });
  const [on, off] = reads;
  if (on === undefined || off === undefined) throw new Error('Two caches are needed.');
  const pairs: (readonly [number, number])[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    const isFirst = round % 2 === 0;
    const one = await (isFirst ? on : off)();
    const other = await (isFirst ? off : on)();
    // The first rounds warm the code.
    if (round > 0) pairs.push(isFirst ? [one, other] : [other, one]);
  }
  const ratio = rounded(medianOf(pairs.map(([with_, without]) => with_ / without)), 3);
  const [onUs, offUs] = [0, 1].map((i) => rounded(medianOf(pairs.map((pair) => pair[i] ?? Number.NaN)), 3));
  return {
    what: `${kind} hit, with its reads counted for warm-ups: CPU to one that is not`,
    figure: `${ratio} (${onUs} us to ${offUs} us)`,
    target: '<= 1.05',
    isMet: ratio <= 1.05,
    data: { kind, ratio, onUs, offUs, rounds: ROUNDS, hitsPerRound: hits },
  };
}

const READER = { reads: 'primary' as const, load: async (): Promise<Value> => VALUE };

/** Reads until everything is where it is to be read from. */
async function held(cache: Cache, kind: 'local' | 'Redis', readAll: () => Promise<unknown>): Promise<void> {
  for (let round = 0; round < 100; round++) {
    const before = cache.stats();
    await readAll();
    const { hits, localHits } = cache.stats();
    if ((kind === 'local' ? localHits - before.localHits : hits - before.hits) === KEYS) return;
    await sleep(20);
  }
  throw new Error('Some reads go on missing.');
}
