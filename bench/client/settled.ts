import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { Latencies } from '../../src/cli/demo/latencies.ts';
import type { Entry } from '../../src/client/cache-store.ts';
import { keyspaceOf } from '../../src/config/region-keyspace.ts';
import { RedisCacheStore } from '../../src/drivers/redis/cache-store.ts';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { isSettledOnPrimary } from '../../src/protocol/fill.ts';
import { FENCE_BUCKETS } from '../../src/protocol/invalidation.ts';
import { bucketOf, cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { eventually } from '../../test/support/eventually.ts';
import { untilBegun, untilSwept } from '../../test/support/region-begun.ts';
import { openStage } from '../../test/support/stage.ts';
import type { Row } from './row.ts';

const CELLS = 12;
const COMMITS_PER_SECOND = 500;
const SECONDS = 15;
/** These first seconds are told apart: relay, agent and this process compile their code in them. */
const COLD_SECONDS = 2;
/** Each row is changed once. */
const ROWS = COMMITS_PER_SECOND * SECONDS;
/** Of every so many keys one stands in Redis, so that its end is told. */
const SAMPLED_EVERY = 4;
/** As the client looks. */
const LOOK_MS = 1;
/** What one round trip takes meanwhile: the machine's own noise. */
const PING_EVERY_MS = 10;
const SCHEMA = `
create table public.users (id bigint primary key, n int not null);
insert into public.users select n, 0 from generate_series(1, ${ROWS}) n;
`;

/** From an eviction, as Redis tells of it, to the first reading of a lease by which a load from the primary may be stored. */
export async function settled(log: 'kafka' | 'redis-streams'): Promise<Row> {
  const families = { user: { key: 'user:{id}', ttl: '10m', on: { users: { id: 'id' } } } };
  const stage = await openStage({ log, schema: SCHEMA, families, partitions: CELLS });
  const pool = new pg.Pool({ connectionString: stage.url, max: 16 });
  const events = await connectRedis(stage.cache.url, { name: 'bench-events' });
  try {
    const region = stage.config.regions.get('eu');
    if (region === undefined) throw new Error('no region');
    const keyspace = keyspaceOf(stage.config, region);
    await stage.startAgent('agent');
    await stage.startRelay('relay');
    const store = new RedisCacheStore(stage.redis, keyspace);
    const rule = await eventually('the rules', async () => (await store.rules()).get('user'), 60_000);
    await untilBegun(stage.redis, keyspace, ['user']);
    await untilSwept(stage.redis, keyspace);
    const evicted = new Latencies();
    const [cold, storable] = [new Latencies(), new Latencies()];
    let startedAt = 0;
    const committedAt = new Map<string, number>();
    const probes: Promise<void>[] = [];
    await stage.redis.config('SET', 'notify-keyspace-events', 'Kg');
    await events.psubscribe('__keyspace@0__:user:*');
    events.on('pmessage', (_pattern: string, channel: string, what: string) => {
      const key = channel.slice('__keyspace@0__:'.length);
      const committed = committedAt.get(key);
      if (what !== 'del' || committed === undefined) return;
      committedAt.delete(key);
      const at = performance.now();
      evicted.add(at - committed);
      const into = at - startedAt < COLD_SECONDS * 1000 ? cold : storable;
      probes.push(probe(store, entryOf(key), rule).then(() => into.add(performance.now() - at)));
    });
    for (let id = 1; id <= ROWS; id += SAMPLED_EVERY) await stage.redis.set(`user:${id}`, 'x', 'EX', 600);
    const pings = new Latencies();
    const pinging = setInterval(() => {
      const at = performance.now();
      void stage.redis.ping().then(() => pings.add(performance.now() - at));
    }, PING_EVERY_MS);
    startedAt = performance.now();
    const writes: Promise<unknown>[] = [];
    for (let id = 1; id <= ROWS;) {
      for (
        const due = ((performance.now() - startedAt) / 1000) * COMMITS_PER_SECOND;
        id <= Math.min(due, ROWS);
        id += 1
      ) {
        const key = `user:${id}`;
        if (id % SAMPLED_EVERY === 1) committedAt.set(key, performance.now());
        writes.push(pool.query('update users set n = n + 1 where id = $1', [id]));
      }
      await sleep(1);
    }
    await Promise.all(writes);
    clearInterval(pinging);
    const perSecond = ROWS / ((performance.now() - startedAt) / 1000);
    await eventually('every sampled key is evicted', () => committedAt.size === 0);
    await Promise.all(probes);
    const [fromCommit, toStorable, ping] = [evicted.summary(), storable.summary(), pings.summary()];
    if (fromCommit === null || toStorable === null) throw new Error('no samples');
    return {
      what: `evicted -> storable again from the primary, ${log}, ms`,
      figure: `p50 ${toStorable.p50}, p99 ${toStorable.p99}, max ${toStorable.max} (first ${COLD_SECONDS} s: p99 ${cold.summary()?.p99}); a PING meanwhile p50 ${ping?.p50}, p99 ${ping?.p99}`,
      target: 'p99 <= 25',
      isMet: toStorable.p99 <= 25,
      data: {
        log,
        samples: storable.count,
        commitsPerSecond: perSecond,
        evictedToStorableMs: toStorable,
        coldEvictedToStorableMs: cold.summary(),
        sentToEvictedMs: fromCommit,
        pingMs: ping,
      },
    };
  } finally {
    events.disconnect();
    await pool.end();
    await stage.close();
  }
}

async function probe(store: RedisCacheStore, entry: Entry, rule: string): Promise<void> {
  const request = { token: randomBytes(8).toString('hex'), leaseMs: 30_000, rule, staleMs: 0, waits: false };
  for (;;) {
    const reply = await store.lease(entry, request);
    if (reply.kind !== 'leased') throw new Error(`A lease was answered ${reply.kind}.`);
    if (isSettledOnPrimary(reply.reading)) return;
    await sleep(LOOK_MS);
  }
}

function entryOf(key: string): Entry {
  const hash = hashKey(key);
  const bucket = bucketOf(hash, CELLS, Math.floor(FENCE_BUCKETS / CELLS));
  return { family: 'user', key, hash, bucket, cell: cellOf(hash, CELLS), isPlain: false };
}
