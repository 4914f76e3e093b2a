import type { ApplyBatch, NewEpoch, NewRules, RegionStore } from '../../src/agent/region-store.ts';
import type { CacheStore, Entry, LeaseRequest } from '../../src/client/cache-store.ts';
import type { HotReadsSink } from '../../src/client/hot-keys.ts';
import type { RedisPlace } from '../../src/config/bus-config.ts';
import { RedisCacheStore } from '../../src/drivers/redis/cache-store.ts';
import { connectRegion } from '../../src/drivers/redis/cluster-connection.ts';
import { connectRedis } from '../../src/drivers/redis/connection.ts';
import { RedisHotReads } from '../../src/drivers/redis/hot-reads.ts';
import { RedisRegionStore } from '../../src/drivers/redis/region-store.ts';
import { FENCE_BUCKETS } from '../../src/protocol/invalidation.ts';
import { bucketOf, cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { NOTHING_SETTLED } from '../../src/protocol/settled-mark.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { cacheStoreOf, regionStoreOf } from '../../src/testing/memory-stores.ts';
import { eventually } from '../support/eventually.ts';

export const CELLS = 12;
export const TOKEN = 'a'.repeat(16);
export const SOURCE = { number: 1, systemId: '7', timeline: 1, slotIdentity: 'x', postmasterStartedAtMs: 0 };

/** Where a value stands: in its own key, or, of a plain one, its header and lease in the slot beside. */
export type Place = 'value' | 'beside';

/** A region of either kind, as the contracts need it: both ports, and what others do to a Redis. */
export interface RegionUnderTest {
  readonly agent: RegionStore;
  readonly reader: CacheStore;
  /** Where readers tell of their reads. */
  readonly reports: HotReadsSink;
  /** GET and SET by somebody who knows nothing of us. */
  get(entry: Entry, place?: Place): Promise<string | null>;
  set(entry: Entry, text: string): Promise<void>;
  /** An operator's DEL, or memory pressure. */
  drop(entry: Entry, place?: Place): Promise<void>;
  loseRecord(cell: number): Promise<void>;
  loseState(cell: number): Promise<void>;
  empty(): Promise<void>;
  /** The keys whose lease has ended while somebody waited, so far. */
  readonly leaseEnds: readonly string[];
  /** Lets time pass until `is` holds, which only the end of a TTL brings about. */
  untilLater(is: () => Promise<boolean>): Promise<void>;
  close(): Promise<void>;
}

export function openMemoryRegion(): Promise<RegionUnderTest> {
  let nowMs = Date.now();
  const region = new MemoryRegion({ cells: CELLS, nowMs: () => nowMs });
  const leaseEnds: string[] = [];
  region.onLeaseEnd((key) => leaseEnds.push(key));
  return Promise.resolve({
    agent: regionStoreOf(region),
    reader: cacheStoreOf(region),
    reports: { append: async (reports) => region.appendHotReads(reports) },
    get: async ({ key }, place) => region.get(key, place),
    set: async ({ key }, text) => region.set(key, text),
    drop: async ({ key }, place) => void region.drop(key, place),
    loseRecord: async (cell) => region.loseRecord(cell),
    loseState: async (cell) => region.loseState(cell),
    empty: async () => region.flush(),
    leaseEnds,
    untilLater: async (is) => {
      for (let step = 0; !(await is()); step++) {
        if (step > 1000) throw new Error('Time passed, and nothing ended.');
        nowMs += 10;
      }
    },
    close: async () => undefined,
  });
}

/** One of the two that connects as another user. */
export interface Limits {
  readonly who: 'agent' | 'application';
  readonly place: RedisPlace;
}

/** `anyUrl`: a server that hears what is published. */
export async function openRedisRegion(place: RedisPlace, anyUrl: string, limits?: Limits): Promise<RegionUnderTest> {
  const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: CELLS, clustered: typeof place !== 'string' });
  // One connection for all, so that calls that are under way together are run in their order.
  const redis = await connectRegion(place, { name: 'test' });
  const limited = limits === undefined ? undefined : await connectRegion(limits.place, { name: 'limited' });
  const of = (who: Limits['who']) => (limits?.who === who && limited !== undefined ? limited : redis);
  const agent = new RedisRegionStore(of('agent'), keyspace);
  const events = await connectRedis(anyUrl, { name: 'test-events' });
  const leaseEnds: string[] = [];
  events.on('message', (_channel, key: string) => leaseEnds.push(key));
  await events.subscribe(keyspace.leaseEnds);
  const at = ({ key, cell }: Entry, where: Place = 'value'): string =>
    where === 'beside' ? keyspace.slotKey(key, cell) : keyspace.valueKey(key, cell);
  return {
    agent,
    reader: new RedisCacheStore(of('application'), keyspace),
    reports: new RedisHotReads(of('application'), keyspace.hotReads),
    get: (entry, where) => redis.get(at(entry, where)),
    set: async (entry, text) => void (await redis.set(at(entry), text)),
    drop: async (entry, where) => void (await redis.del(at(entry, where))),
    loseRecord: async (cell) => void (await redis.del(keyspace.record(cell))),
    loseState: async (cell) => void (await redis.del(keyspace.state(cell))),
    empty: async () => {
      const nodes = 'nodes' in redis ? redis.nodes('master') : [redis];
      await Promise.all(nodes.map((node) => node.flushall()));
    },
    leaseEnds,
    untilLater: async (is) => void (await eventually('a time to live is over', is)),
    close: async () => {
      await agent.close();
      redis.disconnect();
      limited?.disconnect();
      events.disconnect();
    },
  };
}

export function entryOf(key: string, more: Partial<Entry> = {}): Entry {
  const hash = hashKey(key);
  const bucketsPerCell = Math.floor(FENCE_BUCKETS / CELLS);
  const cell = cellOf(hash, CELLS);
  return { family: 'user', key, cell, bucket: bucketOf(hash, CELLS, bucketsPerCell), hash, isPlain: false, ...more };
}

export function batchOf(after: number, more: Partial<ApplyBatch> = {}): ApplyBatch {
  return {
    after,
    offset: after + 1,
    sourceEpoch: SOURCE,
    watermark: lsn(100 + after),
    asOfMs: 0,
    settledPrimary: NOTHING_SETTLED,
    keys: [],
    plainKeys: [],
    expires: [],
    refreshes: [],
    fences: new Map(),
    marks: [],
    sweeps: new Map(),
    rules: [],
    hasReplicas: false,
    ...more,
  };
}

export function epochOf(name: string, after: number | null, offset: number): NewEpoch {
  return { name, after, offset, sourceEpoch: SOURCE, watermark: lsn(1), floor: lsn(0) };
}

/** What a record tells of the rules: of all families there are. */
export function rulesOf(families: Readonly<Record<string, string>>, offset: number, at: number): NewRules {
  return { families: new Map(Object.entries(families)), offset, lsn: lsn(at) };
}

/** What an agent applies where keys are evicted at an LSN. */
export function evictionOf(entries: readonly Entry[], at: number): Pick<ApplyBatch, 'keys' | 'plainKeys' | 'fences'> {
  const byBucket = new Map<number, number[]>();
  for (const { bucket, hash } of entries) byBucket.set(bucket, [...(byBucket.get(bucket) ?? []), hash]);
  return {
    keys: entries.map(({ key }) => key),
    plainKeys: entries.filter(({ isPlain }) => isPlain).map(({ key }) => key),
    fences: new Map([...byBucket].map(([bucket, hashes]) => [bucket, fenceOf(hashes.map((hash) => [at, hash]))])),
  };
}

export function fenceOf(list: readonly (readonly [commitLsn: number, hash: number])[]): Uint8Array {
  const bytes = new Uint8Array(list.length * 12);
  const view = new DataView(bytes.buffer);
  list.forEach(([commitLsn, hash], i) => {
    view.setBigUint64(i * 12, BigInt(commitLsn));
    view.setUint32(i * 12 + 8, hash);
  });
  return bytes;
}

export function leaseOf(token: string, more: Partial<LeaseRequest> = {}): LeaseRequest {
  return { token, leaseMs: 10_000, rule: 'h1', staleMs: 0, waits: false, ...more };
}

/** Takes a cell and begins its first epoch, `e1`, at offset 0; then applies the family's rules, at offset 1. */
export async function begin({ agent }: RegionUnderTest, cell: number): Promise<void> {
  await agent.take(cell, '', TOKEN);
  await agent.beginEpoch(cell, TOKEN, epochOf('e1', null, 0));
  const rules = [rulesOf({ user: 'h1', other: 'h1' }, 1, 1)];
  await agent.apply(cell, TOKEN, batchOf(0, { rules, settledPrimary: { timeline: 1, lsn: lsn(90) } }));
}
