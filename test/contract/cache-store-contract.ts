import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import type {
  CacheStore,
  Entry,
  LeaseReply,
  StoreReply,
  StoreRefusal,
  StoreRequest,
  WriteLeaseReply,
} from '../../src/client/cache-store.ts';
import type { ExpiredKey } from '../../src/agent/region-store.ts';
import type { LeaseReading } from '../../src/protocol/fill.ts';
import { toByteText } from '../../src/protocol/byte-text.ts';
import { judgeHit } from '../../src/protocol/hit.ts';
import { LSN_MAX, lsn } from '../../src/protocol/lsn.ts';
import { eventually } from '../support/eventually.ts';
import {
  batchOf,
  begin,
  entryOf,
  epochOf,
  evictionOf,
  fenceOf,
  leaseOf,
  type RegionUnderTest,
  SOURCE,
  TOKEN,
} from './region-under-test.ts';

const user = entryOf('user:1');
const { cell } = user;
const plain = entryOf('user:1', { isPlain: true });
const HELD = { kind: 'held', token: 'T1' } as const;
const ALL = { ttl: true, watermark: true };

/** What readers are promised, tried on one region. */
export function describeCacheStore(name: string, open: () => Promise<RegionUnderTest>): void {
  describe(name, () => {
    let region: RegionUnderTest;
    let reader: CacheStore;

    before(async () => {
      region = await open();
      ({ reader } = region);
    });
    after(async () => {
      await region?.close();
    });
    beforeEach(async () => {
      await region.empty();
      await begin(region, cell);
    });

    const take = async (entry: Entry, token: string, more = {}): Promise<LeaseReading> => {
      const reply = await reader.lease(entry, leaseOf(token, more));
      assert.ok(reply.kind === 'leased', reply.kind);
      return reply.reading;
    };
    const put = (entry: Entry, token: string, more: Partial<StoreRequest> = {}): Promise<StoreReply> =>
      reader.store(entry, {
        token,
        epoch: 'e1',
        offset: 1,
        bound: lsn(90),
        rule: 'h1',
        tagMarks: [],
        ttlMs: 600_000,
        payload: 'v1',
        id: 'i1',
        ...more,
      });
    const fill = async (entry: Entry, more: Partial<StoreRequest> = {}): Promise<void> => {
      await take(entry, 'T0');
      assert.deepEqual(await put(entry, 'T0', more), { kind: 'stored' });
    };
    const verdict = async (entry: Entry, staleMs = 0) => judgeHit(await reader.read(entry, ALL), staleMs);
    const payload = async (entry: Entry, staleMs = 0): Promise<string | undefined> => {
      const found = await verdict(entry, staleMs);
      return found.kind === 'hit' || found.kind === 'stale' ? found.value.payload : undefined;
    };

    test('what is stored is read as it was, with its stamp, until its time is over', async () => {
      // Every byte, and twice, so that no pair of them means something.
      const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte));
      const text = `${toByteText('zwei\nZeilen – und “mehr” 🙂 {"a":1}')}${bytes.join('')}${bytes.toReversed().join('')}`;
      await fill(user, { payload: text, tagMarks: [3, 1023] });
      const reply = await reader.read(user, ALL);
      const found = judgeHit(reply, 0);
      assert.deepEqual(found, {
        kind: 'hit',
        value: {
          kind: 'value',
          isAbsent: false,
          epoch: 'e1',
          offset: 1,
          id: 'i1',
          lease: undefined,
          leasedUntilMs: undefined,
          loadMs: undefined,
          readAtMs: undefined,
          version: 0,
          tagMarks: [3, 1023],
          payload: text,
        },
      });
      assert.ok(reply.ttlLeftMs > 500_000 && reply.ttlLeftMs <= 600_000);
      assert.deepEqual(reply.watermark, { timeline: 1, lsn: lsn(100), asOfMs: 0 });
      assert.deepEqual([reply.rule, reply.tagMarks], ['h1', [null, null]]);
      await region.drop(user);
      await fill(user, { ttlMs: 30 });
      await region.untilLater(async () => (await region.get(user)) === null);
      assert.deepEqual(await verdict(user), { kind: 'miss', why: 'absent' });
    });

    for (const entry of [user, plain])
      test(`what stands in Redis is the bytes themselves, for whoever reads a ${entry.isPlain ? 'plain value' : 'value'} with GET`, async () => {
        await fill(entry, { payload: toByteText('“ü”'), flags: { version: 3, loadMs: 5, readAtMs: 61_999 } });
        const head = entry.isPlain ? '' : 'aw1 v e1 1 i1 d5,t61,v3 - -\n';
        assert.equal(await region.get(entry), `${head}“ü”`);
        const reply = await reader.read(entry, { ttl: false, watermark: false });
        const found = judgeHit(reply, 0, 3);
        assert.ok(found.kind === 'hit' && found.value.payload === toByteText('“ü”'));
      });

    test('an absence is a value: a hit without payload', async () => {
      await fill(user, { payload: null });
      const found = await verdict(user);
      assert.ok(found.kind === 'hit' && found.value.isAbsent && found.value.payload === '');
    });

    test('of many who miss one gets the lease; a renewal of its own reads again', async () => {
      const replies = await Promise.all(['A', 'B', 'C', 'D'].map((token) => reader.lease(user, leaseOf(token))));
      assert.deepEqual(
        replies.map(({ kind }) => kind),
        ['leased', 'held', 'held', 'held'],
      );
      assert.deepEqual(replies[1], { kind: 'held', token: 'A' });
      const first = await take(user, 'A');
      await region.agent.apply(cell, TOKEN, batchOf(1, { settledPrimary: { timeline: 1, lsn: lsn(95) } }));
      assert.deepEqual([first.settledPrimary.lsn, (await take(user, 'A')).settledPrimary.lsn], [lsn(90), lsn(95)]);
      await reader.giveUp(user, 'B');
      assert.deepEqual(await verdict(user), { kind: 'held', token: 'A' }, 'only the holder gives up');
    });

    test('a lease ends by its time, and then another takes it', async () => {
      await take(user, 'T1', { leaseMs: 30 });
      await region.untilLater(async () => (await reader.lease(user, leaseOf('T2'))).kind === 'leased');
      assert.deepEqual(await put(user, 'T1'), { kind: 'refused', why: 'lease' });
      assert.deepEqual(await put(user, 'T2'), { kind: 'stored' });
    });

    test('without record or state nothing is leased, and nothing stored', async () => {
      await take(user, 'T1');
      await region.loseState(cell);
      assert.deepEqual(await reader.lease(user, leaseOf('T2')), { kind: 'lost' });
      assert.deepEqual(await verdict(user), { kind: 'miss', why: 'lost' });
      assert.deepEqual(await put(user, 'T1'), { kind: 'refused', why: 'lost' });
      await region.empty();
      assert.deepEqual(await reader.lease(user, leaseOf('T2')), { kind: 'lost' });
      await begin(region, cell);
      await take(user, 'T1');
      await region.loseRecord(cell);
      assert.deepEqual(await reader.lease(user, leaseOf('T2')), { kind: 'lost' });
      assert.deepEqual(await put(user, 'T1'), { kind: 'refused', why: 'lost' });
    });

    test('a family of other rules is neither leased nor stored', async () => {
      assert.deepEqual(await reader.lease(user, leaseOf('T1', { rule: 'h0' })), { kind: 'rules', rule: 'h1' });
      const unknown = entryOf('user:1', { family: 'unknown' });
      assert.deepEqual(await reader.lease(unknown, leaseOf('T1')), { kind: 'rules', rule: null });
      await take(user, 'T1');
      assert.deepEqual(await put(user, 'T1', { rule: 'h0' }), { kind: 'refused', why: 'rules' });
    });

    test('the reading tells what fences the key: its own entries, the fold, the floor, what was dropped', async () => {
      const neighbour = { ...user, key: 'another', hash: (user.hash + 1) >>> 0 };
      const apply = async (after: number, lsns: readonly number[], hash: number) => {
        const fences = new Map([[user.bucket, fenceOf(lsns.map((at) => [at, hash]))]]);
        await region.agent.apply(cell, TOKEN, batchOf(after, { fences }));
      };
      const fenced = async (entry: Entry) => {
        const { reading } = (await reader.lease(entry, leaseOf('F'))) as Extract<LeaseReply, { kind: 'leased' }>;
        await reader.giveUp(entry, 'F');
        return reading;
      };
      assert.equal((await fenced(user)).fenced, lsn(0));
      await apply(1, [95, 97, 96], user.hash);
      assert.deepEqual([(await fenced(user)).fenced, (await fenced(neighbour)).fenced], [lsn(97), lsn(0)]);
      // Eight of others are kept; the oldest fold, and count for every key of the bucket.
      const others = Array.from({ length: 9 }, (_, n) => [200 + n, 1000 + n] as const);
      await region.agent.apply(cell, TOKEN, batchOf(2, { fences: new Map([[user.bucket, fenceOf(others)]]) }));
      assert.deepEqual([(await fenced(user)).fenced, (await fenced(neighbour)).fenced], [lsn(200), lsn(200)]);
      // What is settled is dropped once there is no room.
      const settledPrimary = { timeline: 1, lsn: lsn(500) };
      await region.agent.apply(
        cell,
        TOKEN,
        batchOf(3, { fences: new Map([[user.bucket, fenceOf(others)]]), settledPrimary }),
      );
      const reading = await fenced(user);
      assert.deepEqual([reading.fenced, reading.droppedLsn], [lsn(0), lsn(208)]);
      await region.agent.settleReplica([cell], TOKEN, { timeline: 1, lsn: lsn(300) });
      await region.agent.beginEpoch(cell, TOKEN, { ...epochOf('e2', 4, 9), floor: lsn(77) });
      assert.deepEqual(await fenced(user), {
        epoch: 'e2',
        offset: 9,
        timeline: 1,
        floor: lsn(77),
        fenced: lsn(0),
        droppedLsn: lsn(0),
        settledPrimary: { timeline: 0, lsn: lsn(0) },
        settledReplica: { timeline: 0, lsn: lsn(0) },
      });
    });

    const REFUSED: readonly (readonly [
      what: string,
      why: StoreRefusal,
      between: () => Promise<unknown>,
      Partial<StoreRequest>?,
    ])[] = [
      [
        'the agent has evicted the key',
        'lease',
        () => region.agent.apply(cell, TOKEN, batchOf(1, evictionOf([user], 95))),
      ],
      ['somebody has deleted it', 'lease', () => region.drop(user)],
      ['a plain writer has set it', 'lease', () => region.set(user, 'x')],
      ['another reader has evicted it', 'lease', () => reader.evict([user])],
      ['the lease was given up', 'lease', () => reader.giveUp(user, 'T1')],
      ['a new epoch has begun', 'epoch', () => region.agent.beginEpoch(cell, TOKEN, epochOf('e2', 1, 5))],
      ['the position went back, as in a failover', 'position', async () => undefined, { offset: 2 }],
      ['the family was invalidated', 'mark', () => mark('f:user', 95)],
      ['the family was invalidated, by a record of an older commit', 'mark', () => mark('f:user', 5)],
      ['a tag was invalidated', 'mark', () => mark('t:7', 95), { tagMarks: [3, 7] }],
    ];
    const mark = (field: string, at: number) =>
      region.agent.apply(cell, TOKEN, batchOf(1, { marks: [{ field, offset: 2, lsn: lsn(at) }] }));
    for (const [what, why, between, more] of REFUSED)
      test(`nothing is stored where since the lease ${what}`, async () => {
        await take(user, 'T1');
        await between();
        assert.deepEqual(await put(user, 'T1', more), { kind: 'refused', why });
        assert.notEqual(await payload(user), 'v1');
        if (why !== 'lease') assert.equal(await region.get(user), null, 'the lease is gone with it');
      });

    test('a mark whose commit the load need not have seen refuses, at whatever offset it stands', async () => {
      await mark('t:7', 95);
      await take(user, 'T1');
      assert.deepEqual(await put(user, 'T1', { offset: 2, bound: lsn(95), tagMarks: [7] }), {
        kind: 'refused',
        why: 'mark',
      });
      await take(user, 'T2');
      assert.deepEqual(await put(user, 'T2', { offset: 2, bound: lsn(96), tagMarks: [7] }), { kind: 'stored' });
    });

    test('a mark above the stamp makes a miss of what is stored, and only of what it names', async () => {
      const marked = (after: number, field: string) =>
        region.agent.apply(cell, TOKEN, batchOf(after, { marks: [{ field, offset: after + 1, lsn: lsn(80) }] }));
      await fill(user, { tagMarks: [7] });
      await marked(1, 'f:other');
      await marked(2, 't:8');
      assert.equal(await payload(user), 'v1');
      assert.deepEqual(await reader.lease(user, leaseOf('T1')), { kind: 'live' });
      await marked(3, 't:7');
      assert.deepEqual(await verdict(user), { kind: 'miss', why: 'mark' });
      await fill(user, { offset: 4 });
      await marked(4, 'f:user');
      assert.deepEqual(await verdict(user), { kind: 'miss', why: 'mark' });
      await take(user, 'T1');
    });

    test('a value or a lease of a dead epoch is nothing: a lease is taken over it', async () => {
      await fill(user);
      await region.agent.beginEpoch(cell, TOKEN, epochOf('e2', 1, 5));
      assert.deepEqual(await verdict(user), { kind: 'miss', why: 'epoch' });
      await take(user, 'T1');
      await region.agent.beginEpoch(cell, TOKEN, epochOf('e3', 5, 6));
      assert.deepEqual(await verdict(user), { kind: 'miss', why: 'epoch' });
      assert.equal((await take(user, 'T2')).epoch, 'e3');
      assert.deepEqual(await put(user, 'T1', { epoch: 'e3', offset: 6 }), { kind: 'refused', why: 'lease' });
    });

    test('what a plain writer has set is a miss, over which a lease is taken', async () => {
      for (const text of ['x', '', 'aw1', 'aw1 v e1 1', 'aw1 l e1', '{"a":1}']) {
        await region.set(user, text);
        assert.deepEqual(await verdict(user), { kind: 'miss', why: 'foreign' }, text);
        await take(user, 'T1');
        await reader.giveUp(user, 'T1');
        assert.equal(await region.get(user), null);
      }
    });

    test('an eviction drops the value and every lease on it', async () => {
      await fill(user);
      await reader.evict([user, entryOf('user:2')]);
      assert.deepEqual(await verdict(user), { kind: 'miss', why: 'absent' });
    });

    test('a stale value is served under a lease that one reader holds, until it is replaced', async () => {
      await fill(user, { ttlMs: 60_000 });
      const stale = { staleMs: 120_000 };
      assert.deepEqual(await reader.lease(user, leaseOf('T1')), { kind: 'live' }, 'without a stale bound it is live');
      await take(user, 'T1', stale);
      await take(user, 'T1', stale);
      assert.deepEqual(await reader.lease(user, leaseOf('T2', stale)), HELD);
      const found = await verdict(user, 120_000);
      assert.ok(found.kind === 'stale' && found.isLeased && found.value.payload === 'v1');
      assert.deepEqual(await put(user, 'T2'), { kind: 'refused', why: 'lease' });
      assert.deepEqual(await put(user, 'T1', { payload: 'v2' }), { kind: 'stored' });
      assert.equal(await payload(user), 'v2');
    });

    test('a lease over a stale value ends without it being lost: given up, refused, or by its time', async () => {
      const stale = { staleMs: 1_200_000 };
      await fill(user);
      await take(user, 'T1', stale);
      await reader.giveUp(user, 'T2');
      assert.deepEqual(await reader.lease(user, leaseOf('T2', stale)), HELD, 'only the holder gives up');
      await reader.giveUp(user, 'T1');
      await take(user, 'T2', stale);
      assert.deepEqual(await put(user, 'T2', { offset: 2 }), { kind: 'refused', why: 'position' });
      const found = await verdict(user, 1_200_000);
      assert.ok(found.kind === 'stale' && !found.isLeased && found.value.payload === 'v1');
      await take(user, 'T3', { ...stale, leaseMs: 30 });
      await region.untilLater(async () => (await reader.lease(user, leaseOf('T4', stale))).kind === 'leased');
      assert.deepEqual(await put(user, 'T3'), { kind: 'refused', why: 'lease' });
      // An eviction drops the value with the lease that lies over it.
      await region.agent.apply(cell, TOKEN, batchOf(1, evictionOf([user], 95)));
      assert.deepEqual(await put(user, 'T4'), { kind: 'refused', why: 'lease' });
    });

    test('a value that would end before the lease is given away for a lease of its own', async () => {
      await fill(user, { ttlMs: 60_000 });
      await take(user, 'T1', { staleMs: 120_000, leaseMs: 90_000 });
      assert.deepEqual(await verdict(user), HELD);
    });

    const takeToWrite = async (entry: Entry, token: string): Promise<WriteLeaseReply> =>
      reader.leaseToWrite(entry, { token, leaseMs: 10_000, rule: 'h1' });
    const WRITTEN: Partial<StoreRequest> = { payload: 'v2', bound: LSN_MAX, id: 'i2' };

    for (const entry of [user, plain]) {
      const kind = entry.isPlain ? 'plain key' : 'key';
      test(`a writer’s lease voids whoever holds the ${kind}, reader or writer, and he alone stores`, async () => {
        const leased = { kind: 'leased', reading: { epoch: 'e1', offset: 1 } };
        await take(entry, 'R1');
        assert.deepEqual(await takeToWrite(entry, 'W1'), leased);
        assert.deepEqual(await reader.lease(entry, leaseOf('R2')), { kind: 'held', token: 'W1' });
        assert.deepEqual(await takeToWrite(entry, 'W2'), leased);
        for (const token of ['R1', 'W1'])
          assert.deepEqual(await put(entry, token, WRITTEN), { kind: 'refused', why: 'lease' });
        assert.deepEqual(await verdict(entry), { kind: 'held', token: 'W2' });
        assert.deepEqual(await put(entry, 'W2', WRITTEN), { kind: 'stored' });
        assert.equal(await payload(entry), 'v2');
      });

      test(`a writer’s lease lies over a live value of a ${kind}, which is served until it is replaced, or for good`, async () => {
        await fill(entry);
        await takeToWrite(entry, 'W1');
        assert.equal((await verdict(entry)).kind, 'hit');
        assert.equal(await payload(entry), 'v1');
        assert.deepEqual(await reader.lease(entry, leaseOf('R1')), { kind: 'live' });
        await reader.giveUp(entry, 'W1');
        assert.equal(await payload(entry), 'v1', 'after a ROLLBACK');
        await takeToWrite(entry, 'W2');
        await takeToWrite(entry, 'W3');
        assert.deepEqual(await put(entry, 'W2', WRITTEN), { kind: 'refused', why: 'lease' });
        assert.equal(await payload(entry), 'v1');
        assert.deepEqual(await put(entry, 'W3', WRITTEN), { kind: 'stored' });
        assert.equal(await payload(entry), 'v2');
        await takeToWrite(entry, 'W4');
        await region.agent.apply(cell, TOKEN, batchOf(1, evictionOf([entry], 95)));
        assert.deepEqual(await put(entry, 'W4', WRITTEN), { kind: 'refused', why: 'lease' });
        assert.deepEqual(await verdict(entry), { kind: 'miss', why: 'absent' });
      });
    }

    test('a writer’s lease over a value that ends goes with it, and over one that is old the value goes', async () => {
      await fill(user, { ttlMs: 30 });
      await takeToWrite(user, 'W1');
      await region.untilLater(async () => (await region.get(user)) === null);
      assert.deepEqual(await put(user, 'W1', WRITTEN), { kind: 'refused', why: 'lease' });
      await fill(user, { tagMarks: [7] });
      await mark('t:7', 80);
      await takeToWrite(user, 'W2');
      assert.deepEqual(await verdict(user), { kind: 'held', token: 'W2' });
      await reader.giveUp(user, 'W2');
      await region.set(user, 'x');
      await takeToWrite(user, 'W3');
      assert.deepEqual(await put(user, 'W3', { ...WRITTEN, offset: 2 }), { kind: 'stored' });
      await region.agent.beginEpoch(cell, TOKEN, epochOf('e2', 2, 5));
      await takeToWrite(user, 'W4');
      assert.deepEqual(await verdict(user), { kind: 'held', token: 'W4' });
    });

    test('a writer’s store has no bound, and yet no mark above its reading', async () => {
      await region.agent.apply(
        cell,
        TOKEN,
        batchOf(1, { marks: [{ field: 'f:user', offset: 2, lsn: lsn(1_000_000) }] }),
      );
      await takeToWrite(user, 'W1');
      assert.deepEqual(await put(user, 'W1', { ...WRITTEN, offset: 2 }), { kind: 'stored' });
      await takeToWrite(user, 'W2');
      await region.agent.apply(cell, TOKEN, batchOf(2, { marks: [{ field: 't:7', offset: 3, lsn: lsn(1) }] }));
      const tagged = { ...WRITTEN, offset: 2, tagMarks: [7] };
      assert.deepEqual(await put(user, 'W2', tagged), { kind: 'refused', why: 'mark' });
    });

    test('a writer takes no lease without record or state, nor by other rules', async () => {
      assert.deepEqual(await reader.leaseToWrite(user, leaseOf('W1', { rule: 'h0' })), { kind: 'rules', rule: 'h1' });
      await region.loseState(cell);
      assert.deepEqual(await takeToWrite(user, 'W1'), { kind: 'lost' });
      await region.empty();
      assert.deepEqual(await takeToWrite(user, 'W1'), { kind: 'lost' });
    });

    test('who waits for a lease that a writer voids is told of the end of the writer’s', async () => {
      const ends = region.leaseEnds;
      const said = ends.length;
      await take(user, 'R1');
      await reader.lease(user, leaseOf('R2', { waits: true }));
      await takeToWrite(user, 'W1');
      assert.deepEqual(await put(user, 'R1'), { kind: 'refused', why: 'lease' });
      assert.equal(ends.length, said);
      await put(user, 'W1', WRITTEN);
      await eventually('an end', () => ends.length === said + 1);
      const stale = { staleMs: 1_200_000 };
      await take(user, 'R3', stale);
      await reader.lease(user, leaseOf('R4', { ...stale, waits: true }));
      await takeToWrite(user, 'W2');
      await reader.giveUp(user, 'W2');
      await eventually('another', () => ends.length === said + 2);
    });

    for (const entry of [user, plain]) {
      const kind = entry.isPlain ? 'plain value' : 'value';
      test(`a live ${kind} is served on under a lease of who refreshes it early, until it is replaced`, async () => {
        await fill(entry, { id: 'old', flags: { loadMs: 40 } });
        const early = { early: 'old' };
        assert.deepEqual(await reader.lease(entry, leaseOf('T1', { early: 'other' })), { kind: 'live' });
        await take(entry, 'T1', { ...early, leaseMs: 3_600_000 });
        await take(entry, 'T1', early);
        assert.deepEqual(await reader.lease(entry, leaseOf('T2', early)), HELD);
        assert.deepEqual(await reader.lease(entry, leaseOf('T2')), { kind: 'live' }, 'for whoever is not early');
        const found = await verdict(entry);
        assert.ok(found.kind === 'hit' && found.value.payload === 'v1' && found.value.lease === 'T1');
        assert.ok(found.value.loadMs === 40 && found.value.leasedUntilMs !== undefined);
        assert.deepEqual(await put(entry, 'T2'), { kind: 'refused', why: 'lease' });
        assert.deepEqual(await put(entry, 'T1', { payload: 'v2', id: 'new' }), { kind: 'stored' });
        assert.equal(await payload(entry), 'v2');
        assert.deepEqual(await reader.lease(entry, leaseOf('T3', early)), { kind: 'live' }, 'it is fresh already');
      });

      test(`an eviction during the early refresh of a ${kind} voids it; given up or refused, it leaves the value`, async () => {
        const early = { early: 'old' };
        await fill(entry, { id: 'old' });
        await take(entry, 'T1', early);
        await reader.giveUp(entry, 'T1');
        await take(entry, 'T2', early);
        assert.deepEqual(await put(entry, 'T2', { offset: 2 }), { kind: 'refused', why: 'position' });
        const found = await verdict(entry);
        assert.ok(found.kind === 'hit' && found.value.lease === undefined && found.value.payload === 'v1');
        await take(entry, 'T3', early);
        await region.agent.apply(cell, TOKEN, batchOf(1, evictionOf([entry], 95)));
        assert.deepEqual(await put(entry, 'T3'), { kind: 'refused', why: 'lease' });
        assert.deepEqual((await verdict(entry)).kind, 'miss');
      });

      test(`a ${kind} that is marked, or of a dead epoch, is refreshed by nobody early: a lease of its own is taken`, async () => {
        await fill(entry, { id: 'old' });
        await mark('f:user', 80);
        await take(entry, 'T1', { early: 'old' });
        assert.deepEqual(await verdict(entry), HELD);
      });

      test(`a ${kind} of another version of its shape is nothing: a lease is taken over it, and what is stored names its own`, async () => {
        await fill(entry, { flags: { loadMs: 7, version: 1 } });
        assert.deepEqual(await verdict(entry), { kind: 'miss', why: 'version' });
        assert.deepEqual(await reader.lease(entry, leaseOf('T1', { version: 1 })), { kind: 'live' });
        await take(entry, 'T1', { version: 2 });
        assert.deepEqual(await put(entry, 'T1', { flags: { version: 2 } }), { kind: 'stored' });
        assert.equal(judgeHit(await reader.read(entry, ALL), 0, 2).kind, 'hit');
        await take(entry, 'T2');
      });
    }

    test('the end of a lease is told only where somebody asked, whichever way it ends', async () => {
      const ends = region.leaseEnds;
      const said = ends.length;
      const waits = { waits: true };
      const entries = [1, 2, 3, 4].map((n) => ({ ...user, key: `told:${n}` }));
      const [stored, refused, given, quiet] = entries as [Entry, Entry, Entry, Entry];
      for (const entry of entries) {
        await take(entry, 'T1');
        await reader.lease(entry, leaseOf('T2', entry === quiet ? {} : waits));
        await reader.lease(entry, leaseOf('T3', entry === quiet ? {} : waits));
      }
      assert.deepEqual(await verdict(stored), HELD, 'a lease that is waited for is a lease');
      await take(stored, 'T1');
      await put(quiet, 'T1');
      await put(stored, 'T1');
      await put(refused, 'T1', { offset: 5 });
      await reader.giveUp(given, 'T1');
      await eventually('three ends', () => ends.length === said + 3);
      assert.deepEqual(ends.slice(said), [stored.key, refused.key, given.key]);
      // Over a stale value.
      await take(quiet, 'T1', { staleMs: 1_200_000 });
      await reader.lease(quiet, leaseOf('T2', { staleMs: 1_200_000, waits: true }));
      await reader.giveUp(quiet, 'T1');
      await eventually('a fourth', () => ends.length === said + 4);
      assert.deepEqual((await verdict(quiet)).kind, 'hit');
    });

    test('the rules of every family are told, as the region has them', async () => {
      await begin(region, 0);
      assert.deepEqual(
        await reader.rules(),
        new Map([
          ['user', 'h1'],
          ['other', 'h1'],
        ]),
      );
      await region.empty();
      assert.deepEqual(await reader.rules(), new Map());
    });

    test('a plain value’s key holds the payload alone, for whoever reads it with GET', async () => {
      await fill(plain, { payload: '{"name":"x"}', tagMarks: [7] });
      assert.equal(await region.get(plain), '{"name":"x"}');
      const found = await verdict(plain);
      assert.ok(found.kind === 'hit' && found.value.payload === '{"name":"x"}' && found.value.offset === 1);
      await region.drop(plain);
      assert.deepEqual(await verdict(plain), { kind: 'miss', why: 'absent' }, 'a header alone is nothing');
      await take(plain, 'T1');
      assert.deepEqual(await put(plain, 'T1', { payload: null }), { kind: 'stored' });
      assert.equal(await region.get(plain), null, 'an absence is no value for others');
      assert.ok((await verdict(plain)).kind === 'hit');
    });

    test('a plain value’s lease ends with every eviction, and lets the old value stand when it ends otherwise', async () => {
      for (const evict of [
        () => region.agent.apply(cell, TOKEN, batchOf(1, evictionOf([plain], 95))),
        () => reader.evict([plain]),
      ]) {
        await fill(plain);
        await take(plain, 'T1', { staleMs: 1_200_000 });
        await evict();
        assert.deepEqual([await region.get(plain), await region.get(plain, 'beside')], [null, null]);
        assert.deepEqual(await put(plain, 'T1'), { kind: 'refused', why: 'lease' });
      }
      await fill(plain);
      await take(plain, 'T1', { staleMs: 1_200_000 });
      await reader.giveUp(plain, 'T1');
      assert.equal(await payload(plain), 'v1');
    });

    test('a plain value gives up: an external DEL voids no lease, and a plain SET is taken for ours', async () => {
      await take(plain, 'T1');
      await region.drop(plain);
      assert.deepEqual(await put(plain, 'T1'), { kind: 'stored' });
      await region.set(plain, 'theirs');
      assert.equal(await payload(plain), 'theirs');
    });

    const expire = async (entry: Entry, more: Partial<ExpiredKey> = {}): Promise<unknown> => {
      const { key, isPlain, family } = entry;
      const expires = [{ key, isPlain, family, ruleHash: 'h1', staleMs: 300_000, ...more }];
      const after = (await region.agent.read(cell))?.offset ?? 0;
      return region.agent.apply(cell, TOKEN, batchOf(after, { expires }));
    };

    for (const entry of [user, plain]) {
      const kind = entry.isPlain ? 'plain value' : 'value';
      test(`an expired ${kind} is stale at once, for its bound and no longer, and voids every lease`, async () => {
        await fill(entry);
        assert.deepEqual(await expire(entry), { kind: 'applied', unlinked: 0, expired: 1 });
        const reply = await reader.read(entry, ALL);
        assert.ok(reply.ttlLeftMs > 200_000 && reply.ttlLeftMs <= 300_000);
        assert.equal((await verdict(entry, 300_000)).kind, 'stale');
        await take(entry, 'T1', { staleMs: 300_000 });
        assert.deepEqual(await expire(entry), { kind: 'applied', unlinked: 0, expired: 1 });
        assert.deepEqual(await put(entry, 'T1'), { kind: 'refused', why: 'lease' }, 'a lease over it');
        assert.equal((await verdict(entry, 300_000)).kind, 'stale');
        await expire(entry, { staleMs: 600_000 });
        assert.ok((await reader.read(entry, ALL)).ttlLeftMs <= 300_000, 'its time is never longer again');
        await take(entry, 'T2', { staleMs: 300_000 });
        assert.deepEqual(await put(entry, 'T2', { payload: 'v2', offset: 4 }), { kind: 'stored' });
        assert.equal(await payload(entry, 300_000), 'v2');
        await expire(entry, { staleMs: 30 });
        await region.untilLater(async () => (await region.get(entry)) === null);
        await take(entry, 'T3');
        assert.deepEqual(await expire(entry), { kind: 'applied', unlinked: entry.isPlain ? 0 : 1, expired: 0 });
        assert.deepEqual(await put(entry, 'T3'), { kind: 'refused', why: 'lease' }, 'a lease alone');
      });

      test(`what is no ${kind} of ours, or of a region that goes by other rules, is not expired but unlinked`, async () => {
        await fill(entry);
        const answer = await expire(entry, { ruleHash: 'h2' });
        assert.deepEqual(answer, { kind: 'applied', unlinked: 1, expired: 0 });
        assert.deepEqual([await region.get(entry), await region.get(entry, 'beside')], [null, null]);
        await region.set(entry, 'of another');
        assert.deepEqual(await expire(entry), { kind: 'applied', unlinked: 1, expired: 0 });
      });
    }

    const sweep = (entry: Entry): Promise<number> =>
      region.agent.sweep(cell, TOKEN, { family: entry.family, keys: [entry.key], isPlain: entry.isPlain });

    for (const entry of [user, plain]) {
      const kind = entry.isPlain ? 'plain value with the slot beside it' : 'value';
      test(`a sweep unlinks a ${kind} that a mark or an epoch has made old, and keeps one that was stored since`, async () => {
        const long = { tagMarks: Array.from({ length: 200 }, (_, n) => n) };
        for (const more of [{}, { tagMarks: [7] }, { payload: null }, long]) {
          await fill(entry, more);
          assert.equal(await sweep(entry), 0);
          assert.deepEqual((await verdict(entry)).kind, 'hit');
          await region.drop(entry);
          if (entry.isPlain) await region.drop(entry, 'beside');
        }
        await fill(entry, { tagMarks: [7] });
        await region.agent.apply(cell, TOKEN, batchOf(1, { marks: [{ field: 't:7', offset: 2, lsn: lsn(80) }] }));
        assert.equal(await sweep(entry), 1);
        assert.deepEqual([await region.get(entry), await region.get(entry, 'beside')], [null, null]);
        await fill(entry, { tagMarks: [7], offset: 2 });
        assert.equal(await sweep(entry), 0);
        await region.agent.apply(cell, TOKEN, batchOf(2, { marks: [{ field: 'f:user', offset: 3, lsn: lsn(80) }] }));
        assert.equal(await sweep(entry), 1);
        await fill(entry, { offset: 3 });
        await region.agent.beginEpoch(cell, TOKEN, epochOf('e2', 3, 4));
        assert.equal(await sweep(entry), 1);
        await region.set(entry, 'of another');
        assert.equal(await sweep(entry), 1);
        await fill(entry, { epoch: 'e2', offset: 4 });
        await region.loseState(cell);
        assert.equal(await sweep(entry), 1);
      });
    }

    test('a sweep leaves a lease to its holder, but no plain value beside one', async () => {
      for (const entry of [user, plain]) {
        if (entry.isPlain) await region.set(plain, 'old');
        await take(entry, 'T1');
        assert.equal(await sweep(entry), entry.isPlain ? 1 : 0);
        assert.deepEqual(await put(entry, 'T1'), { kind: 'stored' });
        await region.empty();
        await begin(region, cell);
      }
    });

    test('the watermark tells the timeline of the source', async () => {
      const sourceEpoch = { ...SOURCE, timeline: 3 };
      await region.agent.apply(cell, TOKEN, batchOf(1, { sourceEpoch, watermark: lsn(400), asOfMs: 1234.5 }));
      const { watermark } = await reader.read(user, ALL);
      assert.deepEqual(watermark, { timeline: 3, lsn: lsn(400), asOfMs: 1234.5 });
      assert.equal((await reader.read(user, { ttl: false, watermark: false })).watermark, null);
      await region.loseRecord(cell);
      assert.equal((await reader.read(user, ALL)).watermark, null);
    });
  });
}
