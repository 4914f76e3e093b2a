import { Redis } from 'ioredis';
import { startRedis } from '../../src/stack/redis.ts';
import { CacheRegion } from '../../test/support/cache-region.ts';
import { medianOf, rounded, type Row } from './row.ts';

const KEYS = 100;
/** Short rounds, so that the two of a pair meet the same neighbours, and many of them. */
const HITS = 4000;
const ROUNDS = 41;
const CONCURRENCIES = [1, 50];
/** About 100 bytes as JSON. */
const VALUE = { v: 1, name: 'Ann Other', email: 'ann.other@example.org', note: 'x'.repeat(40) };

/** CPU of this process for a hit of the client, beside that of a plain GET of the same bytes by the same ioredis. Rounds alternate. */
export async function hit(): Promise<Row[]> {
  const server = await startRedis();
  const region = await CacheRegion.open(server.url);
  const redis = new Redis(server.url);
  try {
    await region.begin();
    const cache = await region.cache();
    const notes = cache.family<typeof VALUE, { id: string }>('note', { reads: 'primary', load: async () => VALUE });
    const ids = Array.from({ length: KEYS }, (_, i) => ({ id: `k${i}` }));
    for (const id of ids) {
      await notes.get(id);
      await redis.set(`raw:${id.id}`, JSON.stringify(VALUE));
    }
    const rows: Row[] = [];
    for (const callers of CONCURRENCIES) {
      const ours: number[] = [];
      const raw: number[] = [];
      for (let round = 0; round <= ROUNDS; round++) {
        const pair = [
          await cpuUs(callers, (i) => notes.get(ids[i % KEYS] ?? { id: '' })),
          await cpuUs(callers, (i) => redis.get(`raw:k${i % KEYS}`)),
        ] as const;
        // The first round warms the code.
        if (round === 0) continue;
        ours.push(pair[0]);
        raw.push(pair[1]);
      }
      const ratio = rounded(medianOf(ours.map((us, i) => us / (raw[i] ?? Number.NaN))));
      const [oursUs, rawUs] = [rounded(medianOf(ours), 1), rounded(medianOf(raw), 1)];
      rows.push({
        what: `Redis hit, ${callers === 1 ? 'one after another' : `${callers} callers`}: CPU to raw ioredis GET`,
        figure: `${ratio} (${oursUs} us to ${rawUs} us)`,
        target: '<= 1.5',
        isMet: ratio <= 1.5,
        data: { callers, ratio, oursUs, rawUs, rounds: ROUNDS, hitsPerRound: HITS },
      });
    }
    if (cache.stats().loads !== KEYS) throw new Error('Some reads were no hits.');
    return rows;
  } finally {
    redis.disconnect();
    await region.close();
    await server.stop();
  }
}

async function cpuUs(callers: number, act: (i: number) => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage();
  let next = 0;
  await Promise.all(
    Array.from({ length: callers }, async () => {
      while (next < HITS) await act(next++);
    }),
  );
  const { user, system } = process.cpuUsage(before);
  return (user + system) / HITS;
}
