import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { Redis as Redis5 } from 'ioredis-5';
import type { ApplyBatch, RegionStore } from '../../src/agent/region-store.ts';
import type { Cache } from '../../src/client/cache.ts';
import type { FamilyOptions } from '../../src/client/open-family.ts';
import type { CacheFamily } from '../../src/client/cache-family.ts';
import type { CacheEvent } from '../../src/client/events.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { type CacheOptions, createCache } from '../../src/index.ts';
import { FENCE_BUCKETS } from '../../src/protocol/invalidation.ts';
import { bucketOf, cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { createKeyspace, type Keyspace } from '../../src/protocol/keyspace.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { tagMarkOf } from '../../src/protocol/mark.ts';
import { batchOf, epochOf, rulesOf, SOURCE, TOKEN } from '../contract/region-under-test.ts';
import { printReadToken } from '../../src/protocol/read-token.ts';

/** A bus of which everything but the region is left out: its file, and an agent's hand on the region's Redis. */
export const CELLS = 2;
const fileWith = (families: string): string => `bus: shop
source: { url: postgres://nobody@127.0.0.1:1/none }
log: { redisStreams: { url: redis://127.0.0.1:1, partitions: ${CELLS} } }
regions: { eu: { redis: redis://127.0.0.1:1 } }
families:
  user: { key: "user:{id}", ttl: 5m, on: { users: { id: id } }, tags: ["org:{org_id}"] }
  note: { key: "note:{id}", ttl: 5m, on: { notes: { id: id } } }
  slow: { key: "slow:{id}", ttl: 1s, stale: 5m, on: { slows: { id: id } } }
  plain: { key: "plain:{id}", ttl: 5m, values: plain, on: { plains: { id: id } } }
  row: { key: "row:{id}", ttl: 5m, source: "select id, name from rows where id = {id}", on: { rows: { id: id } } }
  serve: { key: "serve:{id}", ttl: 5m, too-stale: serve, on: { serves: { id: id } } }
${families}tags: { "org:{id}": { on: { orgs: { id: id } } } }
`;
export const FILE = fileWith('');
/** With families that live in the process's memory too. */
export const LOCAL_FILE =
  fileWith(`  near: { key: "near:{id}", ttl: 5m, local: 5m, on: { nears: { id: id } }, tags: ["org:{org_id}"] }
  near-plain: { key: "near-plain:{id}", ttl: 5m, local: 5m, values: plain, on: { nears: { id: id } } }
  near-slow: { key: "near-slow:{id}", ttl: 1s, stale: 5m, local: 4m, on: { nears: { id: id } } }
`);

export class CacheRegion {
  readonly url: string;
  readonly keyspace: Keyspace;
  readonly events: CacheEvent[] = [];
  /** How far the region is behind the database. */
  behindMs = 0;
  readonly #agent: RegionStore;
  readonly #redis: Redis[] = [];
  readonly #caches: Cache[] = [];
  #offset = 1;
  #lsn = 1000;

  private constructor(url: string, keyspace: Keyspace, agent: RegionStore) {
    this.url = url;
    this.keyspace = keyspace;
    this.#agent = agent;
  }

  static async open(url: string, bus = 'shop', prefix = `${bus}:`): Promise<CacheRegion> {
    const keyspace = createKeyspace({ bus, prefix, cells: CELLS, clustered: false });
    return new CacheRegion(url, keyspace, await connectRegionStore(url, 'test-agent', keyspace));
  }

  /** The keys that a sweep of a family would look at, and then its sweep. */
  async sweep(family: string, glob: string): Promise<readonly string[]> {
    const found: string[] = [];
    for (let cursor: string | null = '0'; cursor !== null;) {
      const page: Awaited<ReturnType<RegionStore['scan']>> = await this.#agent.scan(cursor, glob);
      found.push(...page.keys);
      cursor = page.next;
    }
    for (let cell = 0; cell < CELLS; cell++) {
      const keys = found.filter((key) => cellOf(hashKey(key), CELLS) === cell);
      if (keys.length > 0) await this.#agent.sweep(cell, TOKEN, { family, keys, isPlain: false });
    }
    return found;
  }

  /** Begins a new epoch in every cell, with everything settled and the file's rules published. */
  async begin(rules: Readonly<Record<string, string>> = {}): Promise<void> {
    const owners = await this.#agent.owners();
    for (let cell = 0; cell < CELLS; cell++) {
      await this.#agent.take(cell, String(owners[cell] ?? ''), TOKEN);
      const stored = await this.#agent.read(cell);
      await this.#agent.beginEpoch(cell, TOKEN, {
        ...epochOf(randomBytes(8).toString('hex'), stored?.offset ?? null, this.#offset),
        watermark: lsn(this.#lsn),
        floor: lsn(this.#lsn),
      });
    }
    await this.tell({ ...ownRules(), ...rules });
  }

  /** The relay tells of these families, and so that there are no others. */
  async tell(rules: Readonly<Record<string, string>>): Promise<void> {
    await this.apply({ rules: [rulesOf(rules, this.#offset + 1, this.#lsn + 5)] });
  }

  /** One more record in every cell. What it brings is settled, unless another mark is given. */
  async apply(more: Partial<ApplyBatch> = {}): Promise<void> {
    const after = this.#offset;
    this.#offset += 1;
    this.#lsn += 10;
    for (let cell = 0; cell < CELLS; cell++) {
      const isHere = (key: string): boolean => cellOf(hashKey(key), CELLS) === cell;
      const batch = batchOf(after, {
        watermark: lsn(this.#lsn),
        asOfMs: Date.now() - this.behindMs,
        settledPrimary: { timeline: 1, lsn: lsn(this.#lsn) },
        ...more,
        keys: (more.keys ?? []).filter(isHere),
        plainKeys: (more.plainKeys ?? []).filter(isHere),
        expires: (more.expires ?? []).filter(({ key }) => isHere(key)),
        refreshes: (more.refreshes ?? []).filter(({ key }) => isHere(key)),
      });
      const answer = await this.#agent.apply(cell, TOKEN, batch);
      if (answer.kind !== 'applied') throw new Error(`Not applied: ${answer.kind}`);
    }
  }

  get lastLsn(): number {
    return this.#lsn;
  }

  /** The bus evicts keys, as after a commit. `isSettled` false: a read of the primary may not see the commit yet. */
  async evict(keys: readonly string[], isSettled = true): Promise<void> {
    const commit = this.#lsn + 5;
    const fences = new Map<number, Uint8Array>();
    for (const key of keys) {
      const entry = new DataView(new ArrayBuffer(12));
      entry.setBigUint64(0, BigInt(commit));
      entry.setUint32(8, hashKey(key));
      fences.set(bucketOf(hashKey(key), CELLS, Math.floor(FENCE_BUCKETS / CELLS)), new Uint8Array(entry.buffer));
    }
    await this.apply({ keys, fences, ...(isSettled ? {} : { settledPrimary: { timeline: 1, lsn: lsn(commit) } }) });
  }

  async evictPlain(keys: readonly string[]): Promise<void> {
    const of = (cell: number): string[] => keys.filter((key) => cellOf(hashKey(key), CELLS) === cell);
    await this.apply({ keys, plainKeys: [...of(0), ...of(1)] });
  }

  /** A read token, as `afterWrite` gives it. */
  tokenAt(at: number): string {
    return printReadToken({ timeline: SOURCE.timeline, lsn: lsn(at) });
  }

  ruleText(family: string): string {
    return ownRules()[family] ?? '';
  }

  async markTag(tag: string): Promise<void> {
    await this.#mark(`t:${tagMarkOf(tag)}`);
  }

  async markFamily(family: string): Promise<void> {
    await this.#mark(`f:${family}`);
  }

  async #mark(field: string): Promise<void> {
    await this.apply({ marks: [{ field, offset: this.#offset + 1, lsn: lsn(this.#lsn + 5) }] });
  }

  redis(options: object = {}): Redis {
    const redis = openApplicationRedis(this.url, options);
    this.#redis.push(redis);
    return redis;
  }

  /** Another process, as far as the cache is concerned. */
  async cache(options: Partial<CacheOptions> = {}): Promise<Cache> {
    const cache = await createCache({
      config: { text: FILE },
      region: 'eu',
      // A busy machine is no Redis that is away.
      commandTimeoutMs: 2000,
      redis: this.redis(),
      onEvent: (event) => this.events.push(event),
      ...options,
    });
    this.#caches.push(cache);
    return cache;
  }

  async family<T = { v: number }>(
    name: string,
    load: FamilyOptions<T, { id: string }>['load'],
    options: Partial<CacheOptions> = {},
  ): Promise<CacheFamily<T, { id: string }>> {
    const cache = await this.cache(options);
    return cache.family<T, { id: string }>(name, { reads: 'primary', ...(load === undefined ? {} : { load }) });
  }

  async closeCaches(): Promise<void> {
    await Promise.all(this.#caches.splice(0).map((cache) => cache.drain()));
    for (const redis of this.#redis.splice(0)) redis.disconnect();
    this.events.length = 0;
  }

  async close(): Promise<void> {
    await this.closeCaches();
    await this.#agent.close();
  }
}

/** An instance as the application's own copy of ioredis makes it: of the release that `IOREDIS` names, 6 by default. */
export function openApplicationRedis(url: string, options: object = {}): Redis {
  const redis = (
    process.env['IOREDIS'] === '5'
      ? new Redis5(url, { lazyConnect: true, ...options })
      : new Redis(url, { lazyConnect: true, ...options })
  ) as Redis;
  redis.on('error', () => undefined);
  return redis;
}

/** The rule texts of the file, as the relay would publish them: ids are texts, organisations numbers. */
export function ownRules(): Record<string, string> {
  const result = parseConfig([{ name: 'f', text: LOCAL_FILE }], {});
  if (result.kind === 'faults') throw new Error(JSON.stringify(result.faults));
  return Object.fromEntries(
    [...result.config.families.values()].map((family) => [
      family.name,
      `${family.ruleHash} text${family.tags.length > 0 ? ' integer' : ''}`,
    ]),
  );
}
