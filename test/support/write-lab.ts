import assert from 'node:assert/strict';
import type { Entry } from '../../src/client/cache-store.ts';
import type { PoolClient } from '../../src/client/pool.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { judgeFill } from '../../src/protocol/fill.ts';
import { judgeHit } from '../../src/protocol/hit.ts';
import { FENCE_BUCKETS } from '../../src/protocol/invalidation.ts';
import { bucketOf, cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { LSN_MAX } from '../../src/protocol/lsn.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { CELLS } from './cache-region.ts';
import { FakeClock } from './fake-clock.ts';
import { type CommitFate, SimRow } from './sim-row.ts';
import { LabBus } from './write-lab-bus.ts';
import { type CommandFate, LabProcess, type RegionSteps } from './write-lab-process.ts';

const FAMILY = 'note';
const LEASE_MS = 10_000;
const STORED = { tagMarks: [], ttlMs: 600_000 };

interface Act {
  readonly run: () => void;
  readonly isReady: (() => boolean) | undefined;
}

/**
 * Writers of one row, in processes of their own, readers, and a bus, over one region: each step of each is a step of the lab, which draws the next
 * one. Between two steps everything is done that needs none.
 */
export class WriteLab {
  /** How often things happened that the test is about. */
  readonly seen = new Map<string, number>();
  readonly #below: (bound: number) => number;
  readonly #clock = new FakeClock();
  #regionMs = 1_000_000;
  readonly #region = new MemoryRegion({ cells: CELLS, nowMs: () => this.#regionMs });
  readonly #bus = new LabBus(this.#region);
  readonly #steps: RegionSteps;
  readonly #processes: readonly LabProcess[];
  #row = new SimRow(
    () => undefined,
    () => 0,
    () => 'answered',
  );
  #entry: Entry = entryOf(0);
  #acts: Act[] = [];
  #runs = 0;
  #readers = 0;
  #isTroubled = false;
  #hasFailed = false;
  /** The highest version whose write has returned. */
  #finished = 0;
  /** The bus is chosen from once in so many steps. */
  #busPace = 1;

  constructor(below: (bound: number) => number, plant: (region: MemoryRegion) => Partial<RegionSteps> = () => ({})) {
    this.#below = below;
    const region = this.#region;
    this.#steps = {
      lease: (entry, request) => region.lease(entry, request),
      leaseToWrite: (entry, request) => region.leaseToWrite(entry, request),
      store: (entry, request) => region.store(entry, request),
      giveUp: (entry, token) => region.giveUp(entry, token),
      evict: (entries) => region.evict(entries),
      ...plant(region),
    };
    const pool = { connect: (): Promise<PoolClient> => this.#row.pool.connect() };
    this.#processes = [0, 1].map((number) => {
      const parts = { number, region, steps: this.#steps, clock: this.#clock, leaseMs: LEASE_MS, pool };
      return new LabProcess({ ...parts, fate: () => this.#commandFate(), saw: (what) => this.#count(what) });
    });
    for (const { cache } of this.#processes) cache.family(FAMILY, { reads: 'primary', load: () => null });
  }

  /** Throws at the first step after which something older is served than may be, and where an older value is left in the end. */
  async run(): Promise<void> {
    this.#begin();
    const writers = Array.from({ length: 2 + this.#below(3) }, () => this.#write(this.#pick(this.#processes)));
    for (let n = this.#below(4); n > 0; n--) this.#read(2);
    let isWritten = false;
    void Promise.all(writers).then(() => (isWritten = true));
    for (;;) {
      const isAny = await this.#step();
      this.#check();
      if (isAny) continue;
      if (isWritten && this.#processes.every(({ cache }) => cache.stats().evictionsWaiting === 0)) break;
      // What waits now waits for time: an eviction that is kept.
      this.#isTroubled = false;
      await this.#clock.advance(1000);
    }
    const left = this.#served();
    if (left === undefined) return;
    this.#count('a value is left');
    assert.equal(left, this.#row.visible, 'an older value is left once all is quiet');
  }

  /** A row of its own; in every other run a value of it is there already. */
  #begin(): void {
    this.#runs += 1;
    this.#entry = entryOf(this.#runs);
    this.#acts = [];
    const later = (run: () => void, isReady?: () => boolean): void => void this.#acts.push({ run, isReady });
    this.#row = new SimRow(
      later,
      () => this.#bus.nextLsn(),
      () => this.#commitFate(),
    );
    this.#bus.follow(this.#entry, this.#row.wal);
    this.#isTroubled = true;
    this.#hasFailed = false;
    this.#finished = 0;
    this.#busPace = 1 + 7 * this.#below(3);
    if (this.#below(2) === 0) return;
    const lease = { token: 'first', leaseMs: LEASE_MS, rule: this.#rule };
    const reply = this.#region.leaseToWrite(this.#entry, lease);
    assert.ok(reply.kind === 'leased');
    const value = { payload: '{"v":0}', id: 'first', bound: LSN_MAX, ...STORED };
    this.#region.store(this.#entry, { ...lease, ...reply.reading, ...value });
  }

  async #write({ cache }: LabProcess): Promise<void> {
    const then = this.#pick(['update', 'update', 'update', 'update', 'evict', 'leave'] as const);
    const isThrown = this.#below(10) === 0;
    const work = async (tx: { query: (request: { text: string }) => Promise<{ rows: number[][] }> }) => {
      const { rows } = await tx.query({ text: 'UPDATE' });
      if (isThrown) throw new Error('thrown by the work');
      return { v: rows[0]?.[0] ?? 0 };
    };
    try {
      const family = cache.family<{ v: number }, { id: string }>(FAMILY);
      const value = await family.write({ id: String(this.#runs) }, work, { then: then as 'update' });
      this.#count(`${then} committed`);
      if (then !== 'leave') this.#finished = Math.max(this.#finished, value?.v ?? 0);
    } catch (error) {
      this.#count(error instanceof BusError ? error.code : (error as Error).message);
    }
  }

  /** A reader of the primary, by the steps of a fill. */
  #read(rounds: number): void {
    if (rounds === 0) return;
    const token = `r${(this.#readers += 1)}`;
    const entry = this.#entry;
    const later = (run: () => void): void => void this.#acts.push({ run, isReady: undefined });
    later(() => {
      const lease = { token, leaseMs: LEASE_MS, rule: this.#rule, staleMs: 0, waits: false };
      const reply = this.#steps.lease(entry, lease);
      if (reply.kind !== 'leased') return this.#read(rounds - 1);
      later(() => {
        const payload = `{"v":${this.#row.visible}}`;
        later(() => {
          const verdict = judgeFill(reply.reading, { kind: 'primary', timeline: 1 });
          if (verdict.kind === 'refuse') this.#steps.giveUp(entry, token);
          else {
            const request = { ...lease, ...reply.reading, ...STORED, bound: verdict.bound, payload, id: token };
            this.#count(`reader ${this.#steps.store(entry, request).kind}`);
          }
          this.#read(rounds - 1);
        });
      });
    });
  }

  /** Whether anything could be done. */
  async #step(): Promise<boolean> {
    const choices = this.#processes.flatMap((process) => process.choices);
    for (const act of this.#acts) if (act.isReady?.() !== false) choices.push(() => this.#act(act));
    const next = choices.length === 0 || this.#below(this.#busPace) === 0 ? this.#bus.next : undefined;
    if (next === 'evict') choices.push(() => this.#bus.evict());
    else if (next === 'settle') choices.push(() => this.#bus.apply());
    if (choices.length > 0) {
      if (this.#isTroubled && this.#below(40) === 0) this.#trouble();
      else this.#pick(choices)();
    }
    await new Promise<void>((resolve) => setImmediate(resolve));
    return choices.length > 0;
  }

  #act(act: Act): void {
    this.#acts.splice(this.#acts.indexOf(act), 1);
    act.run();
  }

  /** Leases end, marks rise, an epoch begins, memory is short. */
  #trouble(): void {
    const draw = this.#below(4);
    if (draw === 0) this.#regionMs += LEASE_MS + 1;
    else if (draw === 1) this.#bus.markFamily();
    else if (draw === 2) this.#bus.beginEpoch();
    else this.#region.drop(this.#entry.key);
  }

  #commitFate(): CommitFate {
    return this.#below(8) === 0 ? this.#pick(['refused', 'lost', 'gone'] as const) : 'answered';
  }

  #commandFate(): CommandFate {
    if (!this.#isTroubled || this.#below(20) > 0) return 'answered';
    this.#hasFailed = true;
    return this.#pick(['not run', 'late', 'answer lost'] as const);
  }

  #served(): number | undefined {
    const verdict = judgeHit(this.#region.read(this.#entry, { ttl: false, watermark: false }), 0);
    return verdict.kind === 'hit' ? (JSON.parse(verdict.value.payload) as { v: number }).v : undefined;
  }

  #check(): void {
    const served = this.#served();
    if (served === undefined) return;
    const { appliedVersion } = this.#bus;
    assert.ok(served >= appliedVersion, `${served} is served, and the bus has evicted for ${appliedVersion}`);
    assert.ok(served <= this.#row.visible, `${served} is served, and nobody may see more than ${this.#row.visible}`);
    // While Redis is away others may be served the old value.
    if (this.#hasFailed) return;
    assert.ok(served >= this.#finished, `${served} is served, and the write of ${this.#finished} has returned`);
  }

  get #rule(): string {
    return this.#region.rules().get(FAMILY) ?? '';
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#below(list.length)] as T;
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}

function entryOf(id: number): Entry {
  const key = `${FAMILY}:${id}`;
  const hash = hashKey(key);
  const bucket = bucketOf(hash, CELLS, Math.floor(FENCE_BUCKETS / CELLS));
  return { family: FAMILY, key, cell: cellOf(hash, CELLS), bucket, hash, isPlain: false };
}
