import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RegionStore } from '../../src/agent/region-store.ts';
import { sweepLoop } from '../../src/agent/sweep.ts';
import type { Family } from '../../src/config/bus-config.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { regionStoreOf } from '../../src/testing/memory-stores.ts';
import { batchOf, epochOf, rulesOf } from '../contract/region-under-test.ts';
import { busConfig, family, rule } from '../support/bus-config.ts';
import { FakeClock, quiet } from '../support/fake-clock.ts';

const user = family('user', 'user:{id}', [rule('users', 'id')], { isPlain: true });
const note = family('note', 'note:{id}', [rule('notes', 'id')], { isPlain: true });
const LAPS_MS = 10_000;

/** A region of one cell that knows the rules of both families, with a plain value of each; `*` of its epoch is owed. */
class SweptRegion {
  readonly clock = new FakeClock();
  readonly region = new MemoryRegion({ cells: 1, nowMs: () => this.clock.nowMs() });
  readonly #agents = regionStoreOf(this.region);
  #offset = 0;

  constructor() {
    this.region.cell(0).take('', 'first');
    this.region.cell(0).beginEpoch('first', epochOf('e1', null, 0));
    for (const key of ['user:1', 'note:1']) this.region.set(key, 'old');
  }

  apply(more: Parameters<typeof batchOf>[1]): void {
    const token = this.region.cell(0).owner?.token ?? '';
    assert.equal(this.region.apply(0, token, batchOf(this.#offset, more)).kind, 'applied');
    this.#offset += 1;
  }

  tellRules(): void {
    const { ruleHash } = user;
    this.apply({ rules: [rulesOf({ user: ruleHash, note: ruleHash }, 1, 1)] });
  }

  /** How often an agent has asked for sweeps to be taken off. */
  clears = 0;

  /** An agent with these families takes the cell and sweeps for some laps. The globs that it scanned for. */
  async sweepWith(families: readonly Family[], during: () => Promise<void> = async () => undefined): Promise<string[]> {
    const token = families.map(({ name }) => name).join('') || 'none';
    this.region.cell(0).take(this.region.cell(0).ownerText, token);
    const scanned: string[] = [];
    const store: RegionStore = {
      ...this.#agents,
      scan: (cursor, glob) => {
        scanned.push(glob);
        return this.#agents.scan(cursor, glob);
      },
      clearSweeps: (...args) => {
        this.clears += 1;
        return this.#agents.clearSweeps(...args);
      },
    };
    const position = { offset: 0, sourceEpoch: epochOf('', null, 0).sourceEpoch, watermark: lsn(0) };
    const cells = [{ cell: 0, position, sweepsMayBeOwed: true, swept: new Map<string, string>() }];
    const stop = new AbortController();
    const parts = { store, clock: this.clock, config: busConfig(families), cells: 1, token, holdings: { cells } };
    const loop = sweepLoop({ ...parts, onSwept: () => undefined, onOwed: () => undefined }, stop.signal);
    await this.clock.advance(LAPS_MS);
    await during();
    await this.clock.advance(LAPS_MS);
    stop.abort();
    await loop;
    await quiet();
    return scanned;
  }

  get owed(): object {
    return Object.fromEntries(this.region.cell(0).sweeps);
  }

  get values(): (string | null)[] {
    return ['user:1', 'note:1'].map((key) => this.region.get(key));
  }
}

test('a sweep of a family that an agent’s file lacks stays owed for an agent whose file has it', async () => {
  const swept = new SweptRegion();
  swept.tellRules();
  await swept.sweepWith([user, note]);
  assert.deepEqual(swept.owed, {});
  swept.region.set('note:1', 'old');
  swept.apply({ sweeps: new Map([['f:note', '2']]) });
  swept.clears = 0;
  assert.deepEqual([await swept.sweepWith([user]), swept.clears], [[], 0], 'a look is all that it costs');
  assert.deepEqual([swept.owed, swept.values], [{ 'f:note': '2' }, [null, 'old']]);
  assert.deepEqual(await swept.sweepWith([user, note]), ['note:*']);
  assert.deepEqual([swept.owed, swept.values], [{}, [null, null]]);
});

test('after a new epoch an agent sweeps what its file knows, and leaves to others what only the region’s rules tell of', async () => {
  const swept = new SweptRegion();
  swept.tellRules();
  assert.deepEqual(await swept.sweepWith([user]), ['user:*'], 'once, however often it looks');
  assert.deepEqual([swept.owed, swept.values], [{ 'f:note': 'e1' }, [null, 'old']]);
  assert.deepEqual(await swept.sweepWith([note]), ['note:*']);
  assert.deepEqual([swept.owed, swept.values], [{}, [null, null]]);
});

test('a new epoch of a region that has lost its rules is swept at once, and paid only when the rules are told', async () => {
  const swept = new SweptRegion();
  const scanned = await swept.sweepWith([user], async () => {
    assert.deepEqual([swept.owed, swept.values], [{ '*': 'e1' }, [null, 'old']]);
    swept.tellRules();
  });
  assert.deepEqual([scanned, swept.owed], [['user:*'], { 'f:note': 'e1' }]);
});

test('an agent that has a family by another rule than the region sweeps by its own, once, and leaves the sweep owed', async () => {
  const swept = new SweptRegion();
  swept.tellRules();
  const former = { ...note, ruleHash: 'f'.repeat(16) };
  assert.deepEqual(await swept.sweepWith([user, former]), ['user:*', 'note:*', 'note:*']);
  assert.deepEqual([swept.owed, swept.values], [{ 'f:note': 'e1' }, [null, null]]);
  assert.deepEqual(await swept.sweepWith([user, note]), ['note:*']);
  assert.deepEqual(swept.owed, {});
});

test('what is raised again is scanned for again', async () => {
  const swept = new SweptRegion();
  swept.tellRules();
  await swept.sweepWith([user, note]);
  swept.apply({ sweeps: new Map([['f:user', '2']]) });
  const former = { ...user, ruleHash: 'f'.repeat(16) };
  const scanned = await swept.sweepWith([former], async () => swept.apply({ sweeps: new Map([['f:user', '3']]) }));
  assert.deepEqual([scanned, swept.owed], [['user:*', 'user:*'], { 'f:user': '3' }]);
});
