import { setTimeout as sleep } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import type { LocalValues } from '../../src/index.ts';
import { startRedis } from '../../src/stack/redis.ts';
import { CacheRegion, LOCAL_FILE } from '../../test/support/cache-region.ts';
import { medianOf, rounded, type Row } from './row.ts';

const KEYS = 1000;
const HITS = 100_000;
const ROUNDS = 21;
const NAMES = Array.from({ length: KEYS }, (_, i) => `k${i}`);
/** About 100 bytes as JSON. */
const valueOf = (id: string) => ({
  id,
  org_id: 1,
  name: 'Ann Other',
  email: 'ann.other@example.org',
  note: 'x'.repeat(30),
});
type Value = ReturnType<typeof valueOf>;

/** CPU of this process for a hit in its own memory, awaited, beside a `get` of lru-cache, awaited too. Rounds alternate. */
export async function localHit(): Promise<Row[]> {
  const server = await startRedis();
  const region = await CacheRegion.open(server.url);
  try {
    await region.begin();
    return [await measured(region, 'shared'), await measured(region, 'copied')];
  } finally {
    await region.close();
    await server.stop();
  }
}

async function measured(region: CacheRegion, localValues: LocalValues): Promise<Row> {
  const cache = await region.cache({ config: { text: LOCAL_FILE }, localValues });
  const near = cache.family<Value, { id: string }>('near', { reads: 'primary', load: async ({ id }) => valueOf(id) });
  const plain = new LRUCache<string, Value>({ max: 10_000 });
  for (const id of NAMES) plain.set(`near:${id}`, valueOf(id));
  const ours: number[] = [];
  const raw: number[] = [];
  // The first round warms the code.
  for (let round = 0; round <= ROUNDS; round++) {
    await allHeld(
      () => Promise.all(NAMES.map((id) => near.get({ id }))),
      () => cache.stats().localHits,
    );
    const { localHits } = cache.stats();
    const pair = [
      await cpuUs((i) => near.get({ id: NAMES[i % KEYS] ?? '' })),
      await cpuUs((i) => plain.get(`near:${NAMES[i % KEYS]}`)),
    ] as const;
    if (cache.stats().localHits - localHits !== HITS) throw new Error('Some reads were not answered from memory.');
    if (round === 0) continue;
    ours.push(pair[0]);
    raw.push(pair[1]);
  }
  const [us, rawUs] = [rounded(medianOf(ours)), rounded(medianOf(raw))];
  return {
    what: `local hit, ${localValues === 'shared' ? 'one frozen object for all' : 'a copy for each'}: CPU`,
    figure: `${us} us (lru-cache: ${rawUs} us)`,
    target: '<= 1 us',
    isMet: us <= 1,
    data: { localValues, us, lruCacheUs: rawUs, rounds: ROUNDS, hitsPerRound: HITS },
  };
}

/** Between two rounds the process hears its connections, and reads until everything is in its memory. */
async function allHeld(readAll: () => Promise<unknown>, localHits: () => number): Promise<void> {
  for (;;) {
    await sleep(20);
    const before = localHits();
    await readAll();
    if (localHits() - before === KEYS) return;
  }
}

async function cpuUs(act: (i: number) => unknown): Promise<number> {
  const before = process.cpuUsage();
  for (let i = 0; i < HITS; i++) await act(i);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / HITS;
}
