import type { Breaker } from '../../src/client/breaker.ts';
import { isAway } from '../../src/client/breaker.ts';
import { Cache, type CachePorts } from '../../src/client/cache.ts';
import type { CacheStore } from '../../src/client/cache-store.ts';
import type { CacheEvent } from '../../src/client/events.ts';
import { type CacheLimits, readLimits } from '../../src/client/options.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { cacheStoreOf, regionStoreOf } from '../../src/testing/memory-stores.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { batchOf, epochOf, rulesOf, TOKEN } from '../contract/region-under-test.ts';
import { CELLS, LOCAL_FILE, ownRules } from './cache-region.ts';
import { FakeClock, quiet } from './fake-clock.ts';

/** Opens after two failures in a row, and lets one command try after 100 ms of the fake clock. */
class CountingBreaker implements Breaker {
  readonly #clock: FakeClock;
  readonly #changed: (state: Breaker['state']) => void;
  #failures = 0;
  #openedMs = 0;

  constructor(clock: FakeClock, changed: (state: Breaker['state']) => void) {
    this.#clock = clock;
    this.#changed = changed;
  }

  get state(): Breaker['state'] {
    return this.#failures < 2 ? 'closed' : 'open';
  }

  get isQuiet(): boolean {
    return this.#failures === 0;
  }

  async run<T>(act: () => Promise<T>): Promise<T> {
    if (this.state === 'open' && this.#clock.monotonicMs() - this.#openedMs < 100)
      throw new BusError('REDIS_UNREACHABLE', 'open');
    try {
      const answer = await act();
      const wasOpen = this.state === 'open';
      this.#failures = 0;
      if (wasOpen) this.#changed('closed');
      return answer;
    } catch (error) {
      this.failed(error);
      throw error;
    }
  }

  failed(error: unknown): void {
    if (!isAway(error)) return;
    this.#failures += 1;
    this.#openedMs = this.#clock.monotonicMs();
    if (this.#failures === 2) this.#changed('open');
  }
}

/** Caches over a region in memory, whose time a test moves, and whose Redis it takes away. */
export class MemoryCaches {
  readonly clock = new FakeClock();
  readonly region = new MemoryRegion({ cells: CELLS, nowMs: () => this.clock.nowMs() });
  readonly events: CacheEvent[] = [];
  /** What Redis answers to everything, where it is an error. */
  away: BusError | undefined;
  /** What it answers to evictions alone. */
  evictAway: BusError | undefined;
  fleet = 1;
  /** Reads that Redis was asked for. */
  reads = 0;
  readonly #caches: Cache[] = [];
  #epochs = 0;
  readonly #held = new Map<'read' | 'lease' | 'evict', PromiseWithResolvers<void>>();

  /** A new epoch in every cell, settled, with the file's rules, or others for some families. */
  async begin(rules: Readonly<Record<string, string>> = {}): Promise<void> {
    const agent = regionStoreOf(this.region);
    const owners = await agent.owners();
    for (let cell = 0; cell < CELLS; cell++) {
      await agent.take(cell, String(owners[cell] ?? ''), TOKEN);
      const stored = await agent.read(cell);
      const offset = (stored?.offset ?? 0) + 1;
      await agent.beginEpoch(cell, TOKEN, {
        ...epochOf(`e${(this.#epochs += 1)}`, stored?.offset ?? null, offset),
        watermark: lsn(100),
        floor: lsn(100),
      });
      const batch = batchOf(offset, {
        watermark: lsn(200),
        asOfMs: this.clock.nowMs(),
        settledPrimary: { timeline: 1, lsn: lsn(200) },
        rules: [rulesOf({ ...ownRules(), ...rules }, offset + 1, 150)],
      });
      await agent.apply(cell, TOKEN, batch);
    }
  }

  /** `rules` are what was read of the region at the start. */
  async cache(
    limits: Partial<CacheLimits> = {},
    more: Partial<CachePorts> = {},
    rules: ReadonlyMap<string, string> = this.region.rules(),
  ): Promise<Cache> {
    const parsed = parseConfig([{ name: 'f', text: LOCAL_FILE }], {});
    if (parsed.kind === 'faults') throw new Error('the file');
    const store = cacheStoreOf(this.region);
    const cache = new Cache(
      {
        config: parsed.config,
        limits: readLimits(limits),
        store: this.#orAway(store),
        leaseEnds: { watch: (key, notice) => this.#watch(key, notice) },
        fleet: { enlist: async () => this.fleet, dismiss: async () => undefined },
        clock: this.clock,
        random: () => 0.5,
        process: `p${this.#caches.length}x`,
        listener: (event) => this.events.push(event),
        breaker: (changed) => new CountingBreaker(this.clock, changed),
        disconnect: async () => undefined,
        ...more,
      },
      rules,
    );
    this.#caches.push(cache);
    await quiet();
    return cache;
  }

  async close(): Promise<void> {
    for (const cache of this.#caches) {
      const drained = cache.drain();
      await this.clock.advance(60_000);
      await drained;
    }
  }

  /** The next answer to a read stays under way until it is let go. */
  holdNextRead(): PromiseWithResolvers<void> {
    return this.#hold('read');
  }

  /** Likewise that to a lease. */
  holdNextLease(): PromiseWithResolvers<void> {
    return this.#hold('lease');
  }

  /** Likewise that to an eviction. */
  holdNextEvict(): PromiseWithResolvers<void> {
    return this.#hold('evict');
  }

  #hold(what: 'read' | 'lease' | 'evict'): PromiseWithResolvers<void> {
    const held = Promise.withResolvers<void>();
    this.#held.set(what, held);
    return held;
  }

  /** Waits until it is let go, where the answer is held. */
  async #letGo(what: 'read' | 'lease' | 'evict'): Promise<void> {
    const held = this.#held.get(what);
    this.#held.delete(what);
    await held?.promise;
  }

  #watch(key: string, notice: () => void): () => void {
    let isOver = false;
    this.region.onLeaseEnd((ended) => {
      if (!isOver && ended === key) notice();
    });
    return () => (isOver = true);
  }

  #orAway(store: CacheStore): CacheStore {
    const guard =
      <A extends unknown[], R>(call: (...args: A) => Promise<R>) =>
      (...args: A): Promise<R> =>
        this.away === undefined ? call(...args) : Promise.reject(this.away);
    return {
      read: guard(async (entry, wants) => {
        this.reads += 1;
        const reply = await store.read(entry, wants);
        await this.#letGo('read');
        return reply;
      }),
      lease: guard(async (entry, request) => {
        const reply = await store.lease(entry, request);
        await this.#letGo('lease');
        return reply;
      }),
      leaseToWrite: guard(async (entry, request) => {
        const reply = await store.leaseToWrite(entry, request);
        await this.#letGo('lease');
        return reply;
      }),
      store: guard(store.store),
      giveUp: guard(store.giveUp),
      evict: guard(async (entries) => {
        if (this.evictAway === undefined) await store.evict(entries);
        await this.#letGo('evict');
        if (this.evictAway !== undefined) throw this.evictAway;
      }),
      rules: guard(store.rules),
    };
  }
}
