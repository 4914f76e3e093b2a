import assert from 'node:assert/strict';
import type { ApplyBatch } from '../../src/agent/region-store.ts';
import { Cache } from '../../src/client/cache.ts';
import type { CacheStore, Entry } from '../../src/client/cache-store.ts';
import { readLimits } from '../../src/client/options.ts';
import { parseConfig } from '../../src/config/parse-config.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { judgeFill } from '../../src/protocol/fill.ts';
import { judgeHit } from '../../src/protocol/hit.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { batchOf, entryOf, epochOf, evictionOf, TOKEN } from '../contract/region-under-test.ts';
import { FakeClock } from './fake-clock.ts';
import { ownRules, FILE } from './cache-region.ts';
import { type CommitFate, SimRow } from './sim-row.ts';

const FAMILY = 'note';
const LEASE_MS = 10_000;
const PROCESSES = 2;

/** The calls of writers and readers on a region, each one step. A test plants a fault by another. */
export type RegionSteps = Pick<MemoryRegion, 'lease' | 'leaseToWrite' | 'store' | 'giveUp' | 'evict'>;

/** Commands of one process, in their order, and the answers that are on their way. */
interface Line {
  readonly commands: (() => void)[];
  readonly answers: (() => void)[];
}

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
  readonly #region = new MemoryRegion({ cells: 2, nowMs: () => this.#regionMs });
  readonly #steps: RegionSteps;
  readonly #lines: Line[] = Array.from({ length: PROCESSES }, () => ({ commands: [], answers: [] }));
  readonly #caches: Cache[] = [];
  #row = new SimRow(
    () => undefined,
    () => 0,
    () => 'answered',
  );
  #entry: Entry = entryOf('none');
  #acts: Act[] = [];
  #lsn = 100;
  #epochs = 0;
  #tokens = 0;
  #runs = 0;
  #isTroubled = false;
  #hasFailed = false;
  #applied = 0;
  #appliedVersion = 0;
  #settledTo = 0;
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
  }

  /** Throws at the first step after which something older is served than may be, and where an older value is left in the end. */
  async run(): Promise<void> {
    if (this.#caches.length === 0) this.#open();
    this.#runs += 1;
    const id = String(this.#runs);
    this.#entry = { ...entryOf(`${FAMILY}:${id}`, { family: FAMILY }), cell: 0 };
    this.#entry = this.#printed(id);
    this.#row = new SimRow(
      (run, isReady) => this.#acts.push({ run, isReady }),
      () => (this.#lsn += 1),
      () => this.#fate(),
    );
    this.#acts = [];
    this.#isTroubled = true;
    this.#hasFailed = false;
    this.#busPace = 1 + 7 * this.#below(3);
    this.#applied = 0;
    this.#appliedVersion = 0;
    this.#finished = 0;
    this.#storeFirst();
    const writers = Array.from({ length: 2 + this.#below(3) }, () => this.#write(id));
    for (let n = this.#below(4); n > 0; n--) this.#read(2);
    const written = Promise.all(writers);
    let isWritten = false;
    void written.then(() => (isWritten = true));
    for (;;) {
      const isAny = await this.#step();
      this.#check();
      if (isAny) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (this.#isAnyLeft()) continue;
      if (isWritten && this.#keptEvictions() === 0) break;
      // What waits now waits for time: an eviction that is kept.
      this.#isTroubled = false;
      await this.#clock.advance(1000);
    }
    const left = this.#served();
    if (left !== undefined) {
      this.#count('a value is left');
      assert.equal(left, this.#row.visible, 'an older value is left once all is quiet');
    }
  }

  // The parts.

  #open(): void {
    for (let cell = 0; cell < 2; cell++) {
      this.#region.cell(cell).take('', TOKEN);
      this.#region.beginEpoch(cell, TOKEN, epochOf('e0', null, 0));
    }
    const rules = Object.entries(ownRules()).map(([family, hash]) => ({ family, hash, offset: 1, lsn: lsn(1) }));
    for (let cell = 0; cell < 2; cell++) this.#region.apply(cell, TOKEN, batchOf(0, { rules }));
    const parsed = parseConfig([{ name: 'f', text: FILE }], {});
    assert.ok(parsed.kind !== 'faults');
    for (const [number, line] of this.#lines.entries())
      this.#caches.push(
        new Cache(
          {
            config: parsed.config,
            limits: readLimits({ loadTimeoutMs: LEASE_MS }),
            store: this.#storeOf(line),
            leaseEnds: { watch: () => () => undefined },
            fleet: { enlist: async () => PROCESSES, dismiss: async () => undefined },
            clock: this.#clock,
            random: () => 0.5,
            process: `p${number}x`,
            listener: () => undefined,
            breaker: () => ({ state: 'closed', isQuiet: true, failed: () => undefined, run: (act) => act() }),
            primary: { connect: () => this.#row.pool.connect() },
            disconnect: async () => undefined,
          },
          this.#region.rules(),
        ),
      );
    for (const cache of this.#caches) cache.family(FAMILY, { reads: 'primary', load: () => null });
  }

  /** As the client prints it, by the hash of its key. */
  #printed(id: string): Entry {
    const { hash } = entryOf(`${FAMILY}:${id}`);
    return { ...this.#entry, hash, cell: hash % 2, bucket: Math.floor(hash / 2) % 32_768 };
  }

  /** In every other run a value is there already. */
  #storeFirst(): void {
    if (this.#below(2) === 0) return;
    const request = { token: 'first', leaseMs: LEASE_MS, rule: this.#rule };
    const reply = this.#region.leaseToWrite(this.#entry, request);
    assert.ok(reply.kind === 'leased');
    const more = { tagMarks: [], ttlMs: 600_000, payload: '{"v":0}', id: 'first', bound: lsn(2n ** 64n - 1n) };
    this.#region.store(this.#entry, { ...request, ...reply.reading, ...more });
  }

  get #rule(): string {
    return this.#region.rules().get(FAMILY) ?? '';
  }

  async #write(id: string): Promise<void> {
    const process = this.#below(PROCESSES);
    const then = (['update', 'update', 'update', 'update', 'evict', 'leave'] as const)[this.#below(6)] ?? 'update';
    const isThrown = this.#below(10) === 0;
    const family = this.#caches[process]?.family<{ v: number }, { id: string }>(FAMILY);
    const work = async (tx: { query: (request: { text: string }) => Promise<{ rows: number[][] }> }) => {
      const { rows } = await tx.query({ text: 'UPDATE' });
      if (isThrown) throw new Error('thrown by the work');
      return { v: rows[0]?.[0] ?? 0 };
    };
    try {
      const value = await (then === 'update'
        ? family?.write({ id }, work, { then })
        : family?.write<{ v: number }, Parameters<typeof work>[0]>({ id }, work, { then }));
      this.#count(`${then} committed`);
      if (then !== 'leave') this.#finished = Math.max(this.#finished, value?.v ?? 0);
    } catch (error) {
      this.#count(error instanceof BusError ? error.code : (error as Error).message);
    }
  }

  /** A reader of the primary, by the steps of a fill. */
  #read(rounds: number): void {
    if (rounds === 0) return;
    const token = `r${(this.#tokens += 1)}`;
    const entry = this.#entry;
    const later = (run: () => void): void => void this.#acts.push({ run, isReady: undefined });
    later(() => {
      const lease = { token, leaseMs: LEASE_MS, rule: this.#rule, staleMs: 0, waits: false };
      const reply = this.#steps.lease(entry, lease);
      if (reply.kind !== 'leased') return this.#read(rounds - 1);
      later(() => {
        const v = this.#row.visible;
        later(() => {
          const verdict = judgeFill(reply.reading, { kind: 'primary', timeline: 1 });
          if (verdict.kind === 'refuse') this.#steps.giveUp(entry, token);
          else {
            const { epoch, offset } = reply.reading;
            const more = { bound: verdict.bound, rule: this.#rule, tagMarks: [], ttlMs: 600_000, id: token };
            const stored = this.#steps.store(entry, { token, epoch, offset, payload: `{"v":${v}}`, ...more });
            this.#count(`reader ${stored.kind}`);
          }
          this.#read(rounds - 1);
        });
      });
    });
  }

  #fate(): CommitFate {
    if (this.#below(8) !== 0) return 'answered';
    return (['refused', 'lost', 'gone'] as const)[this.#below(3)] ?? 'lost';
  }

  // The region, as a process reaches it.

  #storeOf(line: Line): CacheStore {
    const call =
      <A extends unknown[], R>(step: (...args: A) => R) =>
      (...args: A): Promise<R> =>
        new Promise((resolve, reject) => {
          line.commands.push(() => this.#answer(line, () => step(...args), resolve, reject));
        });
    return {
      read: call((entry, wants) => this.#region.read(entry, wants)),
      lease: call((entry, request) => this.#steps.lease(entry, request)),
      leaseToWrite: call((entry, request) => this.#steps.leaseToWrite(entry, request)),
      store: call((entry, request) => {
        const reply = this.#steps.store(entry, request);
        this.#count(`writer ${reply.kind === 'stored' ? 'stored' : `refused: ${reply.why}`}`);
        return reply;
      }),
      giveUp: call((entry, token) => this.#steps.giveUp(entry, token)),
      evict: call((entries) => this.#steps.evict(entries)),
      rules: async () => this.#region.rules(),
    };
  }

  /** A command is run, and its answer comes; or it fails: before it was run, after it, or it is run late. */
  #answer<R>(line: Line, step: () => R, resolve: (reply: R) => void, reject: (error: unknown) => void): void {
    const fail = (): void => {
      this.#hasFailed = true;
      this.#count('a command without an answer');
      reject(new BusError('REDIS_UNREACHABLE', 'no answer'));
    };
    const draw = this.#isTroubled ? this.#below(60) : 99;
    if (draw === 0) return fail();
    if (draw === 1) {
      line.commands.unshift(() => void step());
      return fail();
    }
    const reply = step();
    line.answers.push(draw === 2 ? fail : () => resolve(reply));
  }

  // The bus.

  #apply(more: Partial<ApplyBatch> = {}): void {
    const { cell } = this.#entry;
    const { offset } = this.#region.cell(cell).position ?? { offset: 0 };
    const unseen = this.#row.wal.find(({ isVisible }) => !isVisible);
    this.#settledTo = unseen?.lsn ?? this.#lsn + 1;
    const settledPrimary = { timeline: 1, lsn: lsn(this.#settledTo) };
    this.#region.apply(cell, TOKEN, batchOf(offset, { watermark: lsn(this.#lsn), settledPrimary, ...more }));
  }

  #evictNext(): void {
    const next = this.#row.wal[this.#applied];
    if (next === undefined) return;
    this.#applied += 1;
    this.#apply(evictionOf([this.#entry], next.lsn));
    this.#appliedVersion = Math.max(this.#appliedVersion, next.version);
    this.#count('evicted by the bus');
  }

  #markFamily(): void {
    const { offset } = this.#region.cell(this.#entry.cell).position ?? { offset: 0 };
    this.#apply({ marks: [{ field: `f:${FAMILY}`, offset: offset + 1, lsn: lsn((this.#lsn += 1)) }] });
  }

  /** A gap: all that was not applied is lost, below a floor. */
  #beginEpoch(): void {
    const { cell } = this.#entry;
    const { offset } = this.#region.cell(cell).position ?? { offset: 0 };
    const floor = lsn(this.#lsn);
    const epoch = { ...epochOf(`e${(this.#epochs += 1)}`, offset, offset + 1), floor, watermark: floor };
    this.#region.beginEpoch(cell, TOKEN, epoch);
    this.#appliedVersion = Math.max(this.#appliedVersion, ...this.#row.wal.map(({ version }) => version));
    this.#applied = this.#row.wal.length;
  }

  // Chance.

  /** Whether anything could be done. */
  async #step(): Promise<boolean> {
    const choices: (() => void)[] = [];
    for (const { commands, answers } of this.#lines) {
      if (commands.length > 0) choices.push(() => commands.shift()?.());
      if (answers.length > 0) choices.push(() => answers.shift()?.());
    }
    for (const act of this.#acts)
      if (act.isReady?.() !== false)
        choices.push(() => {
          this.#acts.splice(this.#acts.indexOf(act), 1);
          act.run();
        });
    const isBusHere = choices.length === 0 || this.#below(this.#busPace) === 0;
    if (isBusHere && this.#applied < this.#row.wal.length) choices.push(() => this.#evictNext());
    else if (isBusHere && this.#settledTo <= this.#lsn && this.#row.wal.every(({ isVisible }) => isVisible))
      choices.push(() => this.#apply());
    if (choices.length === 0) return false;
    if (this.#isTroubled && this.#below(40) === 0) this.#trouble();
    else choices[this.#below(choices.length)]?.();
    await new Promise<void>((resolve) => setImmediate(resolve));
    return true;
  }

  #trouble(): void {
    const draw = this.#below(4);
    if (draw === 0) this.#regionMs += LEASE_MS + 1;
    else if (draw === 1) this.#markFamily();
    else if (draw === 2) this.#beginEpoch();
    else this.#region.drop(this.#entry.key);
  }

  #isAnyLeft(): boolean {
    return this.#acts.length > 0 || this.#lines.some(({ commands, answers }) => commands.length + answers.length > 0);
  }

  #keptEvictions(): number {
    return this.#caches.reduce((sum, cache) => sum + cache.stats().evictionsWaiting, 0);
  }

  #served(): number | undefined {
    const verdict = judgeHit(this.#region.read(this.#entry, { ttl: false, watermark: false }), 0);
    return verdict.kind === 'hit' ? (JSON.parse(verdict.value.payload) as { v: number }).v : undefined;
  }

  #check(): void {
    const served = this.#served();
    if (served === undefined) return;
    assert.ok(
      served >= this.#appliedVersion,
      `${served} is served, and the bus has evicted for ${this.#appliedVersion}`,
    );
    assert.ok(served <= this.#row.visible, `${served} is served, and nobody may see more than ${this.#row.visible}`);
    if (this.#hasFailed) return;
    assert.ok(served >= this.#finished, `${served} is served, and the write of ${this.#finished} has returned`);
  }

  #count(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }
}
