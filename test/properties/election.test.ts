import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ELECTION_TIMING } from '../../src/controller/election.ts';
import type { LeaderRecord, LeaderRecords, RecordWrite, StoredRecord } from '../../src/controller/leader-record.ts';
import { Leadership } from '../../src/controller/leadership.ts';
import { BusError } from '../../src/protocol/errors.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { quiet } from '../support/fake-clock.ts';

/** One time for all, in which everything happens that waits for its moment. */
class World {
  nowMs = 0;
  #waiting: { readonly atMs: number; readonly wake: () => void }[] = [];

  after(ms: number): Promise<void> {
    return new Promise((wake) => this.#waiting.push({ atMs: this.nowMs + ms, wake }));
  }

  async run(untilMs: number, each: () => void): Promise<void> {
    for (;;) {
      await quiet();
      each();
      const next = this.#waiting.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) return;
      // Between two events, too, a permit may run out or still stand.
      if (next.atMs - this.nowMs > 500) {
        this.nowMs += 500;
        each();
        continue;
      }
      this.nowMs = Math.max(this.nowMs, next.atMs);
      this.#waiting = this.#waiting.filter((one) => one !== next);
      next.wake();
    }
  }
}

/** A candidate's own clock: it has a rate of its own, and a wall that is anywhere. Stopped, its sleeps are over when it goes on. */
class OwnClock implements Clock {
  readonly #world: World;
  readonly #rate: number;
  readonly #wallMs: number;
  stoppedUntilMs = 0;

  constructor(world: World, rate: number, wallMs: number) {
    this.#world = world;
    this.#rate = rate;
    this.#wallMs = wallMs;
  }

  nowMs(): number {
    return this.#wallMs + this.#world.nowMs;
  }

  monotonicMs(): number {
    return this.#world.nowMs * this.#rate;
  }

  async sleep(ms: number, _signal: AbortSignal): Promise<void> {
    await this.#world.after(ms / this.#rate);
    await this.#world.after(Math.max(0, this.stoppedUntilMs - this.#world.nowMs));
  }
}

/** Of a request: how long it is under way, how long its answer, and whether that is lost. */
interface Fate {
  readonly thereMs: number;
  readonly backMs: number;
  readonly isLost: boolean;
}

class SharedRecord {
  stored: StoredRecord | undefined;
  #version = 0;

  write(record: LeaderRecord, version: string | undefined): RecordWrite {
    if (this.stored?.version !== version) return { kind: 'conflict' };
    this.stored = { ...record, version: String(++this.#version) };
    return { kind: 'written', stored: this.stored };
  }
}

class FarRecords implements LeaderRecords {
  readonly #world: World;
  readonly #shared: SharedRecord;
  readonly #fate: () => Fate;

  constructor(world: World, shared: SharedRecord, fate: () => Fate) {
    this.#world = world;
    this.#shared = shared;
    this.#fate = fate;
  }

  read(): Promise<StoredRecord | undefined> {
    return this.#far(() => this.#shared.stored);
  }

  create(record: LeaderRecord): Promise<RecordWrite> {
    return this.#far(() => this.#shared.write(record, undefined));
  }

  update({ version, ...record }: StoredRecord): Promise<RecordWrite> {
    return this.#far(() => this.#shared.write(record, version));
  }

  async #far<T>(act: () => T): Promise<T> {
    const { thereMs, backMs, isLost } = this.#fate();
    await this.#world.after(thereMs);
    const result = act();
    await this.#world.after(backMs);
    if (isLost) throw new BusError('KUBERNETES_UNREACHABLE', 'the answer was lost');
    return result;
  }
}

async function stopped(world: World, clock: OwnClock | undefined, atMs: number, forMs: number): Promise<void> {
  await world.after(atMs);
  if (clock !== undefined) clock.stoppedUntilMs = world.nowMs + forMs;
}

const SECONDS = 150;

test('no two candidates may act at once, whatever is late, lost or stopped, and whatever their walls say', async () => {
  // Method: three candidates on one record with random delays, lost answers, stops and clock rates within a lease's margin; at each event and twice a second
  // between them at most one permit stands.
  let terms = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(
        fc.record({
          thereMs: fc.integer({ min: 0, max: 9000 }),
          backMs: fc.integer({ min: 0, max: 9000 }),
          isLost: fc.boolean(),
        }),
        { minLength: 20, maxLength: 60 },
      ),
      fc.array(
        fc.record({ who: fc.nat(2), atMs: fc.nat(SECONDS * 1000), forMs: fc.integer({ min: 1000, max: 40_000 }) }),
        { maxLength: 8 },
      ),
      fc.array(fc.double({ min: 0.85, max: 1.2, noNaN: true }), { minLength: 3, maxLength: 3 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      async (fates, stops, rates, calm) => {
        const world = new World();
        const shared = new SharedRecord();
        const end = new AbortController();
        let asked = 0;
        const clocks = rates.map((rate, i) => new OwnClock(world, rate, (i - 1) * 3_600_000));
        const candidates = clocks.map((clock, i) => {
          const fate = (): Fate => {
            const one = fates[asked++ % fates.length] ?? { thereMs: 0, backMs: 0, isLost: false };
            // Some worlds are calmer than others, so that there are terms to end.
            return {
              thereMs: one.thereMs * calm * calm,
              backMs: one.backMs * calm * calm,
              isLost: one.isLost && calm > 0.3,
            };
          };
          return new Leadership({
            identity: `candidate-${i}`,
            records: new FarRecords(world, shared, fate),
            timing: ELECTION_TIMING,
            clock,
            random: () => 0.5,
            observer: { leading: () => (terms += 1), following: () => undefined, electionFailed: () => undefined },
          });
        });
        for (const { who, atMs, forMs } of stops) void stopped(world, clocks[who], atMs, forMs);
        for (const candidate of candidates) void candidate.run(end.signal);
        let tokenMax = 0;
        await world.run(SECONDS * 1000, () => {
          const permits = candidates.flatMap((candidate) => candidate.permit() ?? []);
          assert.ok(permits.length <= 1, `${permits.length} may act at ${world.nowMs} ms`);
          for (const { token } of permits) {
            assert.ok(token >= tokenMax, 'a token went back');
            tokenMax = token;
          }
        });
        end.abort();
      },
    ),
    { numRuns: 40 },
  );
  assert.ok(terms > 40, 'there were terms to look at');
});
