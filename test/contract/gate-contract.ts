import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { BEGUN_FOR_MS, type GateStore } from '../../src/protocol/region-gate.ts';

export interface GateUnderTest {
  readonly gate: GateStore;
  /** So much time passes for what is noted of cells. */
  pass(ms: number): Promise<void>;
  /** The Redis is emptied. */
  empty(): Promise<void>;
  close(): Promise<void>;
}

/** What the gate of a region promises, tried on one. */
export function describeGate(name: string, open: () => Promise<GateUnderTest>): void {
  describe(name, () => {
    let under: GateUnderTest;
    let gate: GateStore;
    before(async () => {
      under = await open();
      ({ gate } = under);
    });
    after(async () => {
      await under?.close();
    });
    beforeEach(() => under.empty());

    const now = async () => {
      const read = await gate.read();
      return read === null ? null : [read.epoch, read.state, read.share, read.reason];
    };
    const cells = (epochs: Readonly<Record<number, string>>, epoch = 'E1', next = 'E2') =>
      gate.noteCells({
        epoch,
        next,
        regionCells: 4,
        cells: new Map(Object.entries(epochs).map(([cell, name]) => [Number(cell), name])),
      });

    test('there is none at first; whoever marks it first gives it its epoch, and all others are told of that', async () => {
      assert.equal(await now(), null);
      const first = await gate.markCold('E1', 'no gate');
      const second = await gate.markCold('E2', 'no gate');
      assert.deepEqual([first.isMarked, second.isMarked], [true, false]);
      assert.deepEqual([first.gate.epoch, second.gate.epoch], ['E1', 'E1']);
      assert.deepEqual(await now(), ['E1', 'COLD', 0, 'no gate']);
      assert.ok(((await gate.read())?.sinceMs ?? 0) > 0);
    });

    test('one that stands is made COLD anew by its own epoch only, and then nothing that was said for the former one counts', async () => {
      await gate.markCold('E1', 'no gate');
      await gate.report('E1', 0.7);
      assert.equal((await gate.markCold('E3', 'by hand', 'E0')).isMarked, false);
      assert.deepEqual(await now(), ['E1', 'WARMING', 0.7, 'a warm-up is at work']);
      assert.equal((await gate.markCold('E2', 'by hand', 'E1')).isMarked, true);
      assert.deepEqual(await now(), ['E2', 'COLD', 0, 'by hand']);
    });

    test('who acts for another epoch than the gate’s writes nothing, nor where there is none', async () => {
      const each = () =>
        Promise.all([gate.report('E0', 0.9), gate.warm('E0'), gate.open('E0'), cells({ 0: 'a' }, 'E0')]);
      assert.deepEqual(await each(), ['moved', 'moved', 'moved', { kind: 'moved' }]);
      assert.equal(await now(), null);
      await gate.markCold('E1', 'no gate');
      assert.deepEqual(await each(), ['moved', 'moved', 'moved', { kind: 'moved' }]);
      assert.deepEqual(await now(), ['E1', 'COLD', 0, 'no gate']);
    });

    test('COLD is WARMING with the first report and WARM at the end; a report after that takes nothing back', async () => {
      await gate.markCold('E1', 'no gate');
      assert.equal(await gate.report('E1', 0), 'ok');
      assert.deepEqual(await now(), ['E1', 'WARMING', 0, 'a warm-up is at work']);
      await gate.report('E1', 0.96);
      await gate.warm('E1');
      assert.deepEqual(await now(), ['E1', 'WARM', 0.96, 'warmed']);
      assert.equal(await gate.report('E1', 0.1), 'ok');
      assert.deepEqual(await now(), ['E1', 'WARM', 0.96, 'warmed']);
    });

    test('a warm-up that is started again, and reports from 0, takes nothing back of its shard’s share; a new epoch does', async () => {
      await gate.markCold('E1', 'no gate');
      await gate.report('E1', 0.8, { shard: 0, of: 2 });
      await gate.report('E1', 0.4, { shard: 1, of: 2 });
      assert.equal(await gate.report('E1', 0, { shard: 0, of: 2 }), 'ok');
      assert.deepEqual((await now())?.slice(1, 3), ['WARMING', 0.6]);
      await gate.report('E1', 0.9, { shard: 0, of: 2 });
      assert.deepEqual((await now())?.slice(1, 3), ['WARMING', 0.65]);
      await gate.markCold('E2', 'by hand', 'E1');
      await gate.report('E2', 0.1, { shard: 0, of: 2 });
      assert.deepEqual((await now())?.slice(1, 3), ['WARMING', 0.05]);
    });

    test('the share is the mean of all shards, silent ones too; it is WARM with the last of them', async () => {
      await gate.markCold('E1', 'no gate');
      await gate.report('E1', 0.9, { shard: 1, of: 3 });
      assert.equal((await gate.read())?.share, 0.3);
      await gate.report('E1', 0.6, { shard: 0, of: 3 });
      await gate.warm('E1', { shard: 0, of: 3 });
      await gate.warm('E1', { shard: 1, of: 3 });
      assert.deepEqual((await now())?.slice(1, 3), ['WARMING', 0.5]);
      await gate.report('E1', 0.9, { shard: 2, of: 3 });
      await gate.warm('E1', { shard: 2, of: 3 });
      assert.deepEqual((await now())?.slice(1, 3), ['WARM', 0.8]);
    });

    test('warm-ups that divide the keys differently take nothing back of each other: the share is the highest, and either makes it WARM', async () => {
      await gate.markCold('E1', 'no gate');
      await gate.report('E1', 0.8, { shard: 0, of: 2 });
      await gate.warm('E1', { shard: 0, of: 2 });
      await gate.report('E1', 0.3);
      assert.deepEqual((await now())?.slice(1, 3), ['WARMING', 0.4]);
      await gate.report('E1', 0.5);
      assert.deepEqual((await now())?.slice(1, 3), ['WARMING', 0.5]);
      await gate.report('E1', 0.1, { shard: 11, of: 12 });
      await gate.warm('E1', { shard: 1, of: 12 });
      assert.deepEqual((await now())?.slice(1, 3), ['WARMING', 0.5]);
      await gate.warm('E1', { shard: 1, of: 2 });
      assert.equal((await gate.read())?.state, 'WARM');
    });

    test('a new epoch forgets what all divisions have said', async () => {
      await gate.markCold('E1', 'no gate');
      await gate.warm('E1', { shard: 0, of: 2 });
      await gate.markCold('E2', 'by hand', 'E1');
      await gate.warm('E2', { shard: 1, of: 2 });
      assert.deepEqual((await now())?.slice(1, 3), ['WARMING', 0]);
    });

    test('a gate that is opened by hand is WARM, whatever its share', async () => {
      await gate.markCold('E1', 'no gate');
      assert.equal(await gate.open('E1'), 'ok');
      assert.deepEqual(await now(), ['E1', 'WARM', 0, 'opened by hand']);
    });

    test('with half of the cells begun anew it is COLD, once, under a new epoch; the other half follows without another', async () => {
      await gate.markCold('E1', 'no gate');
      await gate.warm('E1');
      assert.deepEqual(await cells({ 0: 'a', 1: 'b', 2: 'c', 3: 'd' }), { kind: 'noted' });
      assert.deepEqual(await cells({ 0: 'a', 1: 'B' }), { kind: 'noted' });
      assert.deepEqual(await cells({ 1: 'BB' }), { kind: 'noted' }, 'a cell counts once');
      assert.equal((await gate.read())?.state, 'WARM');
      assert.deepEqual(await cells({ 2: 'C' }), { kind: 'cold', begun: 2 });
      assert.deepEqual(await now(), ['E2', 'COLD', 0, 'half of the cells began anew']);
      assert.deepEqual(await cells({ 0: 'A', 2: 'C', 3: 'D' }, 'E2', 'E3'), { kind: 'noted' });
      assert.equal((await gate.read())?.epoch, 'E2');
    });

    test('a cell that began anew counts for some time, until readers have filled it, or until the gate is WARM', async () => {
      await gate.markCold('E1', 'no gate');
      await cells({ 0: 'a', 1: 'b', 2: 'c', 3: 'd' });
      assert.deepEqual(await cells({ 0: 'A' }), { kind: 'noted' });
      await under.pass(BEGUN_FOR_MS + 1000);
      assert.deepEqual(await cells({ 1: 'B' }), { kind: 'noted' }, 'the first is filled again');
      await gate.warm('E1');
      assert.deepEqual(await cells({ 2: 'C' }), { kind: 'noted' }, 'what is warm is warm');
      await under.pass(BEGUN_FOR_MS - 10_000);
      assert.deepEqual(await cells({ 3: 'D' }), { kind: 'cold', begun: 2 });
    });

    test('cells that begin for the first time under a gate count for nothing: that is how one begins', async () => {
      await gate.markCold('E1', 'no gate');
      assert.deepEqual(await cells({ 0: 'a', 1: 'b' }), { kind: 'noted' });
      assert.deepEqual(await cells({ 2: 'c', 3: 'd' }), { kind: 'noted' });
      assert.equal((await gate.read())?.epoch, 'E1');
    });
  });
}
