import { Cache } from '../../src/client/cache.ts';
import { DEFAULT_LIMITS } from '../../src/client/options.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { cacheStoreOf } from '../../src/testing/memory-stores.ts';
import { PlainCache } from './plain-cache.ts';
import { BenchRegion, CELLS } from './region.ts';
import { settled, VirtualClock } from './virtual-clock.ts';

/** An hour of reads, and what it cost. */
export interface Hour {
  readonly loads: number;
  /** In the second in which most began. */
  readonly worstSecond: number;
  /** Most under way at one moment. */
  readonly atOnce: number;
  /** Reads that had to wait for a load, and the longest wait. */
  readonly waited: number;
  readonly longestWaitMs: number;
  readonly reads: number;
  readonly refused: number;
}

export interface Situation {
  readonly name: string;
  /** The line of the family after its key; undefined for a cache that a service writes by itself. */
  readonly family: string | undefined;
  readonly isShared?: boolean;
  readonly keys: number;
  /** A tag of all keys is invalidated each so often. */
  readonly tagEveryMs?: number;
}

const PROCESSES = 10;
const READERS = 1000;
const READ_EVERY_MS = 1000;
const LOAD_MS = 200;
const WARM_UP_MS = 2000;
const TICK_MS = 10;
const TTL_MS = 60_000;

type Get = (key: string) => Promise<unknown>;

export async function hourOf(situation: Situation, random: () => number, lengthMs: number): Promise<Hour> {
  const clock = new VirtualClock();
  const origin = new Origin(clock);
  const region = new BenchRegion(() => clock.nowMs());
  const { processes, close } = await openProcesses(situation, { clock, region, random }, (key) => origin.load(key));
  const startMs = clock.nowMs();
  const waits = { waited: 0, longestWaitMs: 0, reads: 0, refused: 0 };
  const read = async (get: Get, key: string): Promise<void> => {
    const askedMs = clock.nowMs();
    waits.reads += 1;
    try {
      await get(key);
      const ms = clock.nowMs() - askedMs;
      if (ms > 0) waits.waited += 1;
      waits.longestWaitMs = Math.max(waits.longestWaitMs, ms);
    } catch {
      waits.refused += 1;
    }
  };
  // All keys are stored in one moment, as by a warm-up, and that is not counted.
  for (let key = 0; key < situation.keys; key++) void processes[key % PROCESSES]?.(`k${key}`);
  await settled();
  await clock.advanceTo(startMs + WARM_UP_MS);
  origin.forget();
  const fromMs = clock.nowMs();
  const due = readersByTick(random);
  for (let tick = 0; tick * TICK_MS < lengthMs; tick++) {
    await clock.advanceTo(fromMs + tick * TICK_MS);
    const { tagEveryMs } = situation;
    if (tagEveryMs !== undefined && tick > 0 && (tick * TICK_MS) % tagEveryMs === 0)
      await region.invalidateTag('org:1');
    const slot = tick % due.length;
    const readers = due[slot] ?? [];
    due[slot] = [];
    for (const reader of readers) {
      void read(processes[reader % PROCESSES] as Get, `k${Math.floor(random() * situation.keys)}`);
      // Not in step, or the same readers would meet each time.
      const next = Math.max(1, Math.round(((0.5 + random()) * READ_EVERY_MS) / TICK_MS));
      due[(slot + next) % due.length]?.push(reader);
    }
    if (readers.length > 0) await settled();
  }
  await clock.advanceTo(clock.nowMs() + TTL_MS);
  await close();
  return { ...origin.counts, ...waits };
}

function readersByTick(random: () => number): number[][] {
  const due = Array.from({ length: (2 * READ_EVERY_MS) / TICK_MS }, (): number[] => []);
  for (let reader = 0; reader < READERS; reader++) due[Math.floor((random() * READ_EVERY_MS) / TICK_MS)]?.push(reader);
  return due;
}

/** The database: each load takes its time, and is counted. */
class Origin {
  readonly #clock: VirtualClock;
  readonly #never = new AbortController().signal;
  #loads = 0;
  #under = 0;
  #atOnce = 0;
  #perSecond = new Map<number, number>();

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get counts(): Pick<Hour, 'loads' | 'worstSecond' | 'atOnce'> {
    return { loads: this.#loads, worstSecond: Math.max(0, ...this.#perSecond.values()), atOnce: this.#atOnce };
  }

  async load(key: string): Promise<unknown> {
    const second = Math.floor(this.#clock.nowMs() / 1000);
    this.#loads += 1;
    this.#under += 1;
    this.#atOnce = Math.max(this.#atOnce, this.#under);
    this.#perSecond.set(second, (this.#perSecond.get(second) ?? 0) + 1);
    await this.#clock.sleep(LOAD_MS, this.#never);
    this.#under -= 1;
    return { key, org_id: 1 };
  }

  forget(): void {
    this.#loads = 0;
    this.#atOnce = 0;
    this.#perSecond = new Map();
  }
}

interface Parts {
  readonly clock: VirtualClock;
  readonly region: BenchRegion;
  readonly random: () => number;
}

/** The same client as everywhere, its time, chance and Redis given. */
async function openProcesses(
  { family, isShared = false }: Situation,
  { clock, region, random }: Parts,
  load: Get,
): Promise<{ processes: readonly Get[]; close: () => Promise<void> }> {
  const numbers = Array.from({ length: PROCESSES }, (_, i) => i);
  if (family === undefined) {
    const redis = new Map();
    const parts = { clock, redis, ttlMs: TTL_MS, isShared };
    return {
      processes: numbers.map(() => new PlainCache(parts, load)).map((one) => (key) => one.get(key)),
      close: async () => undefined,
    };
  }
  const config = configOf(family);
  const rules = Object.fromEntries(
    [...config.families.values()].map(({ name, ruleHash, tags }) => [
      name,
      `${ruleHash} text${tags.length > 0 ? ' integer' : ''}`,
    ]),
  );
  await region.begin(rules);
  const caches = numbers.map(
    (number) =>
      new Cache(
        {
          config,
          limits: DEFAULT_LIMITS,
          store: cacheStoreOf(region.redis),
          leaseEnds: { watch: (key, notice) => region.redis.onLeaseEnd((ended) => ended === key && notice()) },
          fleet: { enlist: async () => PROCESSES, dismiss: async () => undefined },
          clock,
          random,
          process: `p${number}x`,
          listener: () => undefined,
          disconnect: async () => undefined,
        },
        region.redis.rules(),
      ),
  );
  const processes = caches.map((cache): Get => {
    const opened = cache.family<unknown, { id: string }>('hot', { reads: 'primary', load: ({ id }) => load(id) });
    return (key) => opened.get({ id: key });
  });
  return {
    processes,
    close: async () => {
      const drained = Promise.all(caches.map((cache) => cache.drain()));
      await clock.advanceTo(clock.nowMs() + 60_000);
      await drained;
    },
  };
}

function configOf(family: string) {
  const text = `bus: shop
source: { url: postgres://nobody@127.0.0.1:1/none }
log: { redisStreams: { url: redis://127.0.0.1:1, partitions: ${CELLS} } }
regions: { eu: { redis: redis://127.0.0.1:1 } }
families: { hot: { key: "hot:{id}", ttl: 60s, on: { hots: { id: id } }, ${family} } }
tags: { "org:{id}": { on: { orgs: { id: id } } } }
`;
  const result = parseConfig([{ name: 'bench', text }], {});
  if (result.kind === 'faults') throw new Error(JSON.stringify(result.faults));
  return result.config;
}
