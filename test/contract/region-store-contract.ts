import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { RegionStore } from '../../src/agent/region-store.ts';
import type { LeaseReply } from '../../src/client/cache-store.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { NOTHING_SETTLED } from '../../src/protocol/settled-mark.ts';
import {
  batchOf,
  begin,
  CELLS,
  entryOf,
  epochOf,
  evictionOf,
  leaseOf,
  rulesOf,
  type RegionUnderTest,
  SOURCE,
  TOKEN,
} from './region-under-test.ts';

const user = entryOf('user:1');
const { cell } = user;
const OTHER = 'b'.repeat(16);

/** What agents are promised, tried on one region. */
export function describeRegionStore(name: string, open: () => Promise<RegionUnderTest>): void {
  describe(name, () => {
    let region: RegionUnderTest;
    let agent: RegionStore;

    before(async () => {
      region = await open();
      ({ agent } = region);
    });
    after(async () => {
      await region?.close();
    });
    beforeEach(async () => {
      await region.empty();
      await begin(region, cell);
    });

    const reading = async () => {
      const reply = await region.reader.lease(user, leaseOf('R'));
      await region.reader.giveUp(user, 'R');
      return (reply as Extract<LeaseReply, { kind: 'leased' }>).reading;
    };
    const clear = (done: Record<string, string>, rules: Record<string, string>, token = TOKEN) =>
      agent.clearSweeps(cell, token, new Map(Object.entries(done)), new Map(Object.entries(rules)));
    const owedNow = async () => Object.fromEntries((await agent.owedSweeps([cell]))[0] ?? []);
    const facts = () => region.reader.read({ ...user, isPlain: false }, { ttl: false, watermark: true });

    test('living agents are counted, each once, until they are dismissed', async () => {
      assert.deepEqual([await agent.enlist('x'), await agent.enlist('x'), await agent.enlist('y')], [1, 1, 2]);
      assert.equal(await agent.dismiss('x'), 1);
      assert.equal(await agent.enlist('z'), 2);
    });

    test('reports of reads are taken oldest first and once, and of more than are held the oldest are lost', async () => {
      await region.reports.append(['a', 'b']);
      await region.reports.append(['c']);
      assert.deepEqual(await agent.hotReads.take(2), ['a', 'b']);
      assert.deepEqual(await agent.hotReads.take(2), ['c']);
      assert.deepEqual(await agent.hotReads.take(2), []);
      for (let n = 0; n < 206; n += 2) await region.reports.append([`${n}`, `${n + 1}`]);
      const left = await agent.hotReads.take(1000);
      assert.deepEqual([left.length, left[0], left.at(-1)], [200, '6', '205']);
    });

    test('every cell has an owner or none, and is taken from the one that was seen only', async () => {
      const owners = (await agent.owners()).map(String);
      assert.deepEqual([owners.length, owners.filter((owner) => owner === '').length], [CELLS, CELLS - 1]);
      const seen = owners[cell] ?? '';
      assert.ok(seen.startsWith(`${TOKEN}:`));
      assert.deepEqual(await agent.take(cell, '', OTHER), { kind: 'refused' });
      assert.deepEqual(await agent.beat([cell], TOKEN), [{ kind: 'kept', offset: 1 }]);
      assert.deepEqual(await agent.take(cell, seen, OTHER), { kind: 'refused' }, 'it lived meanwhile');
      const answer = await agent.take(cell, String((await agent.owners())[cell] ?? ''), OTHER);
      assert.deepEqual(answer, { kind: 'taken', stored: await agent.read(cell) });
      assert.deepEqual(await agent.beat([cell], TOKEN), [{ kind: 'owner' }]);
      await agent.release(cell, TOKEN);
      assert.notEqual((await agent.owners())[cell], '', 'only the owner gives a cell back');
      await agent.release(cell, OTHER);
      assert.equal((await agent.owners())[cell], '');
      assert.equal((await agent.take(cell, '', TOKEN)).kind, 'taken');
    });

    test('what is stored of a cell is what was last applied; nothing where a part is lost', async () => {
      const reached = { commitLsn: lsn(320), next: 4 };
      const batch = batchOf(1, {
        watermark: lsn(333),
        reached,
        asOfMs: 17.25,
        settledPrimary: { timeline: 1, lsn: lsn(300) },
      });
      await agent.apply(cell, TOKEN, batch);
      await agent.settleReplica([cell], TOKEN, { timeline: 1, lsn: lsn(250) });
      const stored = await agent.read(cell);
      assert.deepEqual(stored, {
        offset: 2,
        sourceEpoch: SOURCE,
        watermark: lsn(333),
        settledPrimary: { timeline: 1, lsn: lsn(300) },
        settledReplica: { timeline: 1, lsn: lsn(250) },
        asOfMs: 17.25,
        reached: { commitLsn: lsn(320), next: 4 },
        epoch: 'e1',
      });
      await region.loseState(cell);
      assert.equal(await agent.read(cell), null);
      assert.deepEqual(await agent.beat([cell], TOKEN), [{ kind: 'kept', offset: null }]);
      assert.deepEqual(await agent.apply(cell, TOKEN, batchOf(2)), { kind: 'lost' });
      assert.equal(
        (await agent.beginEpoch(cell, TOKEN, epochOf('e2', 77, 5))).kind,
        'applied',
        'no position to compare',
      );
      await region.loseRecord(cell);
      assert.equal(await agent.read(cell), null);
      assert.deepEqual(await agent.apply(cell, TOKEN, batchOf(5)), { kind: 'owner' });
      assert.deepEqual(await agent.take(cell, '', TOKEN), { kind: 'taken', stored: null });
      assert.deepEqual(await agent.beat([cell], TOKEN), [{ kind: 'kept', offset: null }]);
    });

    test('a batch has its effect once, whole, and by the owner only, at the position that it follows', async () => {
      await region.set(user, 'v');
      const eviction = batchOf(1, { ...evictionOf([user], 95), keys: [user.key, user.key] });
      assert.deepEqual(await agent.apply(cell, OTHER, eviction), { kind: 'owner' });
      assert.deepEqual(await agent.apply(cell, TOKEN, { ...eviction, after: 0 }), { kind: 'position' });
      const other = await agent.apply(cell, TOKEN, { ...eviction, epoch: 'another' });
      assert.deepEqual(other, { kind: 'position' }, 'an epoch that this region has not');
      assert.equal(await region.get(user), 'v');
      assert.equal((await reading()).fenced, lsn(0));
      await region.set(user, 'v');
      assert.deepEqual(await agent.apply(cell, TOKEN, eviction), { kind: 'applied', unlinked: 1, expired: 0 });
      await region.set(user, 'put back');
      assert.deepEqual(await agent.apply(cell, TOKEN, eviction), { kind: 'position' });
      assert.equal(await region.get(user), 'put back');
      assert.equal((await reading()).fenced, lsn(95));
    });

    test('marks, watermark and settled marks rise, each by its own maximum, and never go back within an epoch', async () => {
      const settledPrimary = { timeline: 2, lsn: lsn(50) };
      const marks = [{ field: 'f:user', offset: 5, lsn: lsn(0x30) }];
      await agent.apply(cell, TOKEN, batchOf(1, { marks, watermark: lsn(900), settledPrimary, asOfMs: 20 }));
      const older = [{ field: 'f:user', offset: 9, lsn: lsn(0x20) }];
      await agent.apply(cell, TOKEN, batchOf(2, { marks: older, settledPrimary: NOTHING_SETTLED, asOfMs: 10 }));
      assert.deepEqual((await facts()).familyMark, { offset: 9, lsn: lsn(0x30) });
      // An offset that is lower, as of a record that is applied again, takes nothing back either.
      await agent.apply(cell, TOKEN, batchOf(3, { marks: [{ field: 'f:user', offset: 7, lsn: lsn(0x40) }] }));
      assert.deepEqual((await facts()).familyMark, { offset: 9, lsn: lsn(0x40) });
      for (const at of [700, 600]) await agent.settleReplica([cell], TOKEN, { timeline: 1, lsn: lsn(at) });
      await agent.settleReplica([cell], OTHER, { timeline: 1, lsn: lsn(800) });
      const stored = await agent.read(cell);
      assert.deepEqual(
        [stored?.watermark, stored?.settledPrimary, stored?.settledReplica.lsn, stored?.asOfMs],
        [lsn(900), settledPrimary, lsn(700), 20],
      );
      await agent.settleReplica([cell], TOKEN, { timeline: 2, lsn: lsn(1) });
      assert.equal((await agent.read(cell))?.settledReplica.timeline, 2, 'a later timeline is above');
    });

    test('an epoch begins as of no known time, whatever the one before had reached: the record it begins with is not applied yet', async () => {
      await agent.apply(cell, TOKEN, batchOf(1, { asOfMs: 20 }));
      assert.equal((await agent.beginEpoch(cell, TOKEN, epochOf('e2', 2, 5))).kind, 'applied');
      assert.equal((await agent.read(cell))?.asOfMs, 0);
    });

    test('a family whose rule is new or another gets a mark, and an unchanged rule none', async () => {
      const rules = (hash: string, offset: number) => ({
        rules: [rulesOf({ user: hash, other: 'h1' }, offset, 40)],
      });
      assert.deepEqual((await facts()).familyMark, { offset: 1, lsn: lsn(1) });
      await agent.apply(cell, TOKEN, batchOf(1, rules('h1', 2)));
      assert.deepEqual((await facts()).familyMark, { offset: 1, lsn: lsn(1) });
      await agent.apply(cell, TOKEN, batchOf(2, rules('h2', 3)));
      assert.deepEqual([(await facts()).familyMark, (await facts()).rule], [{ offset: 3, lsn: lsn(40) }, 'h2']);
    });

    test('a family that is told of no more has no rule, gets a mark and owes a sweep, once', async () => {
      await clear({ '*': 'e1' }, { user: 'h1', other: 'h1' });
      const told = (families: Record<string, string>, offset: number) => rulesOf(families, offset, 40 + offset);
      await agent.apply(cell, TOKEN, batchOf(1, { rules: [told({ other: 'h1' }, 2)] }));
      const { familyMark, rule } = await facts();
      assert.deepEqual([familyMark, rule], [{ offset: 2, lsn: lsn(42) }, null]);
      assert.deepEqual(await owedNow(), { 'f:user': '2' }, 'others owe nothing');
      await agent.apply(cell, TOKEN, batchOf(2, { rules: [told({ other: 'h1' }, 3)] }));
      assert.deepEqual([(await facts()).familyMark?.offset, await owedNow()], [2, { 'f:user': '2' }]);
      assert.equal((await region.reader.lease(user, leaseOf('R'))).kind, 'rules');
      // A record without rules tells nothing of them, nor does an epoch.
      await agent.apply(cell, TOKEN, batchOf(3));
      await agent.beginEpoch(cell, TOKEN, epochOf('e2', 4, 5));
      assert.equal((await facts()).rule, null);
      assert.equal((await region.reader.lease({ ...user, family: 'other' }, leaseOf('R'))).kind, 'leased');
    });

    test('rules that change and change back within one run leave their marks and sweeps', async () => {
      await clear({ '*': 'e1' }, { user: 'h1', other: 'h1' });
      const back = { user: 'h1', other: 'h1' };
      const rules = [rulesOf({ other: 'h2' }, 2, 40), rulesOf(back, 3, 50)];
      await agent.apply(cell, TOKEN, batchOf(1, { offset: 3, rules }));
      const { familyMark, rule } = await facts();
      assert.deepEqual([familyMark, rule], [{ offset: 3, lsn: lsn(50) }, 'h1']);
      assert.deepEqual(await owedNow(), { 'f:user': '2', 'f:other': '3' });
    });

    test('a new epoch keeps the rules, empties marks, fences and settled marks, has its floor, and owes a sweep', async () => {
      const settledPrimary = { timeline: 1, lsn: lsn(94) };
      const marks = [{ field: 't:5', offset: 2, lsn: lsn(95) }];
      await agent.apply(cell, TOKEN, batchOf(1, { ...evictionOf([user], 95), marks, settledPrimary }));
      assert.deepEqual(await agent.beginEpoch(cell, OTHER, epochOf('e2', 2, 9)), { kind: 'owner' });
      assert.deepEqual(await agent.beginEpoch(cell, TOKEN, epochOf('e2', 1, 9)), { kind: 'position' });
      assert.deepEqual(await agent.beginEpoch(cell, TOKEN, epochOf('e2', null, 9)), { kind: 'position' });
      const begun = await agent.beginEpoch(cell, TOKEN, { ...epochOf('e2', 2, 9), floor: lsn(255) });
      assert.deepEqual(begun, { kind: 'applied', unlinked: 0, expired: 0 });
      const { epoch, familyMark, rule } = await facts();
      assert.deepEqual([epoch, familyMark, rule], ['e2', null, 'h1']);
      const read = await reading();
      assert.deepEqual(
        [read.floor, read.fenced, read.droppedLsn, read.settledPrimary, read.offset],
        [lsn(255), lsn(0), lsn(0), NOTHING_SETTLED, 9],
      );
      assert.deepEqual(await agent.owedSweeps([cell, (cell + 1) % CELLS]), [new Map([['*', 'e2']]), new Map()]);
    });

    test('entries are dropped only once settled on the primary and on every replica, on one timeline', async () => {
      const crowd = Array.from({ length: 9 }, (_, n) => ({ ...user, key: `k${n}`, hash: 5000 + n }));
      const settledPrimary = { timeline: 1, lsn: lsn(400) };
      const evict = (after: number, at: number) =>
        agent.apply(
          cell,
          TOKEN,
          batchOf(after, { ...evictionOf(crowd, at), keys: [], settledPrimary, hasReplicas: true }),
        );
      const known = async () => [(await reading()).fenced, (await reading()).droppedLsn];
      await agent.settleReplica([cell], TOKEN, { timeline: 2, lsn: lsn(900) });
      await evict(1, 300);
      assert.deepEqual(await known(), [lsn(300), lsn(0)], 'a mark of another timeline settles nothing');
      await agent.beginEpoch(cell, TOKEN, epochOf('e2', 2, 2));
      await agent.settleReplica([cell], TOKEN, { timeline: 1, lsn: lsn(250) });
      await evict(2, 300);
      assert.deepEqual(await known(), [lsn(300), lsn(0)], 'the replicas lack it');
      await agent.settleReplica([cell], TOKEN, { timeline: 1, lsn: lsn(301) });
      await evict(3, 350);
      assert.deepEqual(await known(), [lsn(350), lsn(300)]);
    });

    test('a refresh is owed for what was there or is owed, and until its last change is cleared', async () => {
      const also = { ...user, key: 'user:99' };
      await region.set(user, 'v');
      const refresh = (after: number, at: number): Promise<unknown> =>
        agent.apply(
          cell,
          TOKEN,
          batchOf(after, {
            refreshes: [user, also].map(({ key }) => ({ key, isPlain: false, family: 'user', commitLsn: lsn(at) })),
          }),
        );
      assert.deepEqual(await refresh(1, 16), { kind: 'applied', unlinked: 1, expired: 0 });
      assert.equal(await region.get(user), null);
      const [first, ...others] = (await agent.owedRefreshes(cell, '0')).owed;
      assert.ok(first !== undefined && others.length === 0);
      assert.deepEqual([first.key, first.family], [user.key, 'user']);
      await refresh(2, 17);
      await agent.clearRefresh(cell, first);
      const [again] = (await agent.owedRefreshes(cell, '0')).owed;
      assert.ok(again !== undefined && again.change !== first.change);
      await agent.clearRefresh(cell, again);
      assert.deepEqual(await agent.owedRefreshes(cell, '0'), { next: null, owed: [] });
    });

    test('a sweep is owed until it is cleared by the owner, and not where it was raised again', async () => {
      await agent.apply(cell, TOKEN, batchOf(1, { sweeps: new Map([['f:user', '1']]) }));
      await agent.apply(cell, TOKEN, batchOf(2, { sweeps: new Map([['f:user', '2']]) }));
      const owed = async () => (await agent.owedSweeps([cell]))[0]?.get('f:user');
      await clear({ 'f:user': '1' }, { user: 'h1' });
      await clear({ 'f:user': '2' }, { user: 'h1' }, OTHER);
      assert.equal(await owed(), '2');
      await clear({ 'f:user': '2' }, { user: 'h1' });
      assert.equal(await owed(), undefined);
    });

    test('a family’s sweep is taken off by an agent only whose file has it by the region’s rule, or where the region has none', async () => {
      const sweeps = new Map(['user', 'gone'].map((family) => [`f:${family}`, '2']));
      await agent.apply(cell, TOKEN, batchOf(1, { sweeps }));
      const done = Object.fromEntries(sweeps);
      await clear(done, { other: 'h1' });
      await clear(done, { user: 'h2' });
      assert.deepEqual(await owedNow(), { ...done, '*': 'e1' });
      await clear(done, { user: 'h1' });
      assert.deepEqual(await owedNow(), { 'f:gone': '2', '*': 'e1' });
      await clear(done, { user: 'h1', gone: 'h9' });
      assert.deepEqual(await owedNow(), { '*': 'e1' });
    });

    test('a sweep of everything leaves its own to each family of the region that the agent’s file lacks or has by another rule', async () => {
      await agent.apply(
        cell,
        TOKEN,
        batchOf(1, { rules: [rulesOf({ user: 'h1', other: 'h1', more: 'h1 text' }, 2, 40)] }),
      );
      await clear({ '*': 'another epoch' }, { user: 'h1' });
      assert.deepEqual(await owedNow(), { '*': 'e1' });
      await agent.apply(cell, TOKEN, batchOf(2, { sweeps: new Map([['f:more', '3']]) }));
      await clear({ '*': 'e1' }, { user: 'h1', other: 'h2' });
      assert.deepEqual(await owedNow(), { 'f:other': 'e1', 'f:more': '3' }, 'what was owed stands as it was raised');
    });

    test('a sweep of a tag leaves its own to each family that carries labels in the region and was not swept', async () => {
      await agent.apply(
        cell,
        TOKEN,
        batchOf(1, {
          rules: [rulesOf({ user: 'h1', other: 'h1', member: 'h1 text integer', list: 'h1 - integer' }, 2, 40)],
          sweeps: new Map([['t:7', '2']]),
        }),
      );
      await clear({ '*': 'e1' }, { user: 'h1', other: 'h1', member: 'h1', list: 'h1' });
      await clear({ 't:7': '2' }, { list: 'h1' });
      assert.deepEqual(await owedNow(), { 'f:member': '2' });
    });

    test('while the region has no rules a sweep of everything stays owed, as nobody can tell which families there are', async () => {
      await region.empty();
      await agent.take(cell, '', TOKEN);
      await agent.beginEpoch(cell, TOKEN, epochOf('e1', null, 1));
      await clear({ '*': 'e1' }, { user: 'h1' });
      assert.deepEqual(await owedNow(), { '*': 'e1' });
    });

    test('a sweep unlinks values of its cell, by the owner only', async () => {
      const also = { ...user, key: 'user:99' };
      for (const entry of [user, also]) await region.set(entry, 'v');
      assert.equal(await agent.sweep(cell, OTHER, { family: 'user', keys: [user.key], isPlain: false }), 0);
      assert.equal(await region.get(user), 'v');
      const keys = [user.key, 'user:none', also.key];
      assert.equal(await agent.sweep(cell, TOKEN, { family: 'user', keys, isPlain: false }), 2);
      assert.equal(await region.get(also), null);
    });

    test('a scan shows every value of a pattern that is there all the time, in whatever cell', async () => {
      const wanted = Array.from({ length: 1500 }, (_, n) => entryOf(`user:${n}`));
      const others = ['org:1', 'user', 'xuser:1', 'user*1'].map((key) => entryOf(key));
      await Promise.all([...wanted, ...others].map((entry) => region.set(entry, 'v')));
      const found = new Set<string>();
      let pages = 0;
      for (let cursor: string | null = '0'; cursor !== null; pages++) {
        const page: Awaited<ReturnType<RegionStore['scan']>> = await agent.scan(cursor, 'user:*');
        for (const key of page.keys) found.add(key);
        cursor = page.next;
      }
      assert.ok(pages > 1);
      assert.deepEqual([...found].toSorted(), wanted.map(({ key }) => key).toSorted());
    });

    test('the server of each cell says who it is, and goes on being the same', async () => {
      const before = await agent.identities();
      assert.equal(before.length, CELLS);
      assert.ok(before.every(({ runId, replicationId }) => runId !== '' && replicationId !== ''));
      await region.empty();
      assert.deepEqual(await agent.identities(), before);
    });
  });
}
