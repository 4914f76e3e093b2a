import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import type { RegionStore } from '../../src/agent/region-store.ts';
import { connectRedis, type RedisConnection } from '../../src/drivers/redis/connection.ts';
import { RedisHotReads } from '../../src/drivers/redis/hot-reads.ts';
import { connectRegionStore } from '../../src/drivers/redis/region-store.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import { REPORT_BYTES_MAX, REPORTS_AT_ONCE_MAX } from '../../src/protocol/hot-key.ts';
import { lsn, lsnFromHex } from '../../src/protocol/lsn.ts';
import { NOTHING_SETTLED } from '../../src/protocol/settled-mark.ts';
import { type RedisServer, startRedis } from '../../src/stack/redis.ts';
import { batchOf, epochOf, rulesOf, TOKEN } from '../contract/region-under-test.ts';

const CELLS = 2;
const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: CELLS, clustered: false });
let server: RedisServer;
let redis: RedisConnection;
let store: RegionStore;

before(async () => {
  server = await startRedis();
  redis = await connectRedis(server.url, { name: 'test' });
  store = await connectRegionStore(server.url, 'test-agent', keyspace);
});

after(async () => {
  await store?.close();
  redis?.disconnect();
  await server?.stop();
});

/** A cell that is taken and has begun, at offset 0. */
async function freshCell(cell = 0): Promise<void> {
  await redis.flushall();
  assert.equal((await store.take(cell, '', TOKEN)).kind, 'taken');
  assert.equal((await store.beginEpoch(cell, TOKEN, epochOf('e1', null, 0))).kind, 'applied');
}

const dump = async (): Promise<unknown> => [
  await redis.hgetall(keyspace.state(0)),
  Object.fromEntries(Object.entries(await redis.hgetall(keyspace.record(0))).filter(([field]) => field !== 'owner')),
];

test('a batch is applied once: replaying any of it is refused and changes nothing', async () => {
  await freshCell();
  await redis.set('shop:user:1', 'v');
  const first = batchOf(0, { keys: ['user:1'], marks: [{ field: 'f:user', offset: 1, lsn: lsn(50) }] });
  assert.deepEqual(await store.apply(0, TOKEN, first), { kind: 'applied', unlinked: 1, expired: 0 });
  assert.deepEqual(await store.apply(0, TOKEN, batchOf(1)), { kind: 'applied', unlinked: 0, expired: 0 });
  const before = await dump();
  await redis.set('shop:user:1', 'put back');
  for (const again of [first, batchOf(1)]) assert.deepEqual(await store.apply(0, TOKEN, again), { kind: 'position' });
  assert.deepEqual(await dump(), before);
  assert.equal(await redis.get('shop:user:1'), 'put back');
});

test('nothing is applied by anyone but the owner, nor to a cell whose record or state is lost', async () => {
  await freshCell();
  assert.deepEqual(await store.apply(0, 'b'.repeat(16), batchOf(0)), { kind: 'owner' });
  await redis.del(keyspace.state(0));
  assert.deepEqual(await store.apply(0, TOKEN, batchOf(0)), { kind: 'lost' });
  assert.equal(await store.read(0), null);
  assert.deepEqual(
    await store.beginEpoch(0, TOKEN, epochOf('e2', null, 5)),
    { kind: 'applied', unlinked: 0, expired: 0 },
    'what is lost begins anew',
  );
  await redis.del(keyspace.record(0));
  assert.deepEqual(await store.apply(0, TOKEN, batchOf(5)), { kind: 'owner' });
});

test('a key of a cell that is of another type is told of before anything is written, and touches no other cell', async () => {
  const more = { keys: ['user:1'], marks: [{ field: 'f:user', offset: 1, lsn: lsn(50) }] };
  const wrong = { name: 'BusError', code: 'REDIS_WRONG_TYPE' };
  const records = (): Promise<unknown> =>
    Promise.all(
      [0, 1].map((cell) => redis.hgetall(keyspace.record(cell)).catch(() => redis.get(keyspace.record(cell)))),
    );
  for (const key of [keyspace.state(0), keyspace.sweeps(0), keyspace.record(0)]) {
    await freshCell();
    await store.take(1, '', TOKEN);
    await redis.set('shop:user:1', 'v');
    await redis.set(key, 'of another program');
    const all = { ...more, fences: new Map([[1, entries([[5, 1]])]]), sweeps: new Map([['f:user', '1']]) };
    const before = await records();
    await assert.rejects(store.apply(0, TOKEN, batchOf(0, all)), wrong);
    await assert.rejects(store.beginEpoch(0, TOKEN, epochOf('e2', 0, 5)), wrong);
    await assert.rejects(store.take(0, '', TOKEN), wrong);
    assert.equal(await redis.get('shop:user:1'), 'v', 'nothing was unlinked');
    assert.deepEqual(await records(), before);
    assert.deepEqual(
      (await store.beat([0, 1], TOKEN)).map(({ kind }) => kind),
      ['unfit', 'kept'],
    );
    const [first, second] = await store.owners();
    assert.equal(typeof first, key === keyspace.record(0) ? 'object' : 'string');
    assert.ok(String(second).startsWith(TOKEN));
    await store.settleReplica([0, 1], TOKEN, { timeline: 1, lsn: lsn(7) });
    await store.owedSweeps([0, 1]);
    await store.sweep(0, TOKEN, { family: 'user', keys: ['user:2'], isPlain: false });
    await store.clearSweeps(0, TOKEN, new Map([['f:user', '1']]), KNOWN);
    await store.release(0, TOKEN);
  }
});

test('a record that lacks a field, or holds what is none, is lost as a whole: nothing is applied, and the cell begins anew', async () => {
  const faults = {
    watermark: 'none',
    settledPrimary: '1:2',
    settledReplica: '',
    droppedLsn: '0',
    offset: 'x',
    asOf: '-',
  };
  for (const [field, value] of [
    ...Object.entries(faults),
    ...Object.keys(faults).map((name) => [name, undefined] as const),
  ]) {
    await freshCell();
    await redis.set('shop:user:1', 'v');
    if (value === undefined) await redis.hdel(keyspace.record(0), field);
    else await redis.hset(keyspace.record(0), field, value);
    const before = await dump();
    const more = { keys: ['user:1'], fences: new Map([[1, entries([[5, 1]])]]) };
    assert.deepEqual(await store.apply(0, TOKEN, batchOf(0, more)), { kind: 'lost' }, `${field} ${value}`);
    assert.deepEqual([await dump(), await redis.get('shop:user:1')], [before, 'v']);
    assert.equal(await store.read(0), null);
    assert.equal((await store.beginEpoch(0, TOKEN, epochOf('e2', null, 5))).kind, 'applied');
    assert.equal((await store.apply(0, TOKEN, batchOf(5, more))).kind, 'applied');
  }
});

test('a cell is taken from the owner that was seen, and from no other', async () => {
  await freshCell();
  const seen = String((await store.owners())[0]);
  await store.beat([0], TOKEN);
  assert.deepEqual(await store.take(0, seen, 'b'.repeat(16)), { kind: 'refused' }, 'it lived meanwhile');
  const now = String((await store.owners())[0]);
  assert.equal((await store.take(0, now, 'b'.repeat(16))).kind, 'taken');
  assert.deepEqual(await store.beat([0], TOKEN), [{ kind: 'owner' }]);
  await store.release(0, TOKEN);
  assert.notEqual((await store.owners())[0], '', 'only the owner gives a cell back');
});

test('a new epoch empties buckets and marks, resets settled marks, keeps rules, and owes a sweep', async () => {
  await freshCell();
  const fences = new Map([[3, entries([[60, 0xabcd]])]]);
  const rules = [rulesOf({ user: 'h1' }, 1, 9)];
  await store.apply(
    0,
    TOKEN,
    batchOf(0, {
      fences,
      rules,
      marks: [{ field: 't:5', offset: 1, lsn: lsn(60) }],
      settledPrimary: { timeline: 1, lsn: lsn(70) },
    }),
  );
  await store.settleReplica([0], TOKEN, { timeline: 1, lsn: lsn(70) });
  assert.deepEqual(await store.beginEpoch(0, TOKEN, { ...epochOf('e2', 1, 9), floor: lsn(255) }), {
    kind: 'applied',
    unlinked: 0,
    expired: 0,
  });
  assert.deepEqual(await redis.hgetall(keyspace.state(0)), { epoch: 'e2', 'r:user': 'h1' });
  const record = await redis.hgetall(keyspace.record(0));
  assert.equal(record['b3'], undefined);
  assert.deepEqual(
    [record['floor'], record['settledPrimary'], record['settledReplica'], record['offset']],
    ['00000000000000ff', '00000000:0000000000000000', '00000000:0000000000000000', '9'],
  );
  assert.deepEqual(await store.owedSweeps([0]), [new Map([['*', 'e2']])]);
});

test('marks rise by each part’s own maximum, and a changed rule marks its family', async () => {
  await freshCell();
  await store.apply(0, TOKEN, batchOf(0, { marks: [{ field: 'f:user', offset: 5, lsn: lsn(0x30) }] }));
  await store.apply(0, TOKEN, batchOf(1, { marks: [{ field: 'f:user', offset: 9, lsn: lsn(0x20) }] }));
  assert.equal(await redis.hget(keyspace.state(0), 'f:user'), '9:0000000000000030');
  await store.apply(0, TOKEN, batchOf(2, { rules: [rulesOf({ user: 'h' }, 10, 0x40)] }));
  await store.apply(0, TOKEN, batchOf(3, { rules: [rulesOf({ user: 'h' }, 11, 0x50)] }));
  assert.equal(await redis.hget(keyspace.state(0), 'f:user'), '10:0000000000000040', 'an unchanged rule marks nothing');
});

test('settled marks and watermark never go back within an epoch', async () => {
  await freshCell();
  await store.apply(0, TOKEN, batchOf(0, { watermark: lsn(900), settledPrimary: { timeline: 1, lsn: lsn(800) } }));
  await store.apply(0, TOKEN, batchOf(1, { watermark: lsn(500), settledPrimary: NOTHING_SETTLED }));
  await store.settleReplica([0], TOKEN, { timeline: 1, lsn: lsn(700) });
  await store.settleReplica([0], TOKEN, { timeline: 1, lsn: lsn(600) });
  const stored = await store.read(0);
  assert.deepEqual(
    [stored?.watermark, stored?.settledPrimary.lsn, stored?.settledReplica.lsn],
    [lsn(900), lsn(800), lsn(700)],
  );
});

test('evictions are applied when memory is full', async () => {
  await freshCell();
  await redis.config('SET', 'maxmemory-policy', 'noeviction');
  await redis.set('shop:user:1', 'v');
  await redis.config('SET', 'maxmemory', '1');
  await assert.rejects(redis.set('shop:user:2', 'v'), /OOM/);
  assert.deepEqual(
    await store.apply(0, TOKEN, batchOf(0, { keys: ['user:1'], fences: new Map([[1, entries([[5, 1]])]]) })),
    { kind: 'applied', unlinked: 1, expired: 0 },
  );
  assert.equal(await store.enlist(TOKEN), 1, 'an agent lives on');
  assert.equal((await store.take(1, '', TOKEN)).kind, 'taken');
  assert.equal((await store.beginEpoch(1, TOKEN, epochOf('e1', null, 0))).kind, 'applied');
  await redis.config('SET', 'maxmemory', '0');
});

test('reports of reads have a bound in bytes and a time to live, and are taken when memory is full', async () => {
  await freshCell();
  const reads = new RedisHotReads(redis, keyspace.hotReads);
  const report = 'x'.repeat(REPORT_BYTES_MAX);
  for (let turn = 0; turn < 30; turn++) await reads.append(Array.from({ length: REPORTS_AT_ONCE_MAX }, () => report));
  const bytes = (await redis.memory('USAGE', keyspace.hotReads, 'SAMPLES', 0)) ?? 0;
  assert.ok(bytes > 0 && bytes < 32 * 2 ** 20, `${bytes} bytes`);
  assert.ok((await redis.pttl(keyspace.hotReads)) > 0, 'a volatile policy may evict it');
  await redis.config('SET', 'maxmemory-policy', 'noeviction');
  await redis.config('SET', 'maxmemory', '1');
  await assert.rejects(reads.append(['more']), /OOM/);
  assert.deepEqual(await store.hotReads.take(1), [report]);
  await redis.config('SET', 'maxmemory', '0');
});

test('an agent that was silent, or that another server’s clock put into the future, lives no more', async () => {
  await redis.flushall();
  const [seconds] = await redis.time();
  await redis.zadd(keyspace.agents, (Number(seconds) - 60) * 1000, 'silent', (Number(seconds) + 60) * 1000, 'future');
  assert.equal(await store.enlist(TOKEN), 1);
  assert.equal(await store.enlist('b'.repeat(16)), 2);
});

test('a sweep that was raised again while it ran stays owed', async () => {
  await freshCell();
  await store.apply(0, TOKEN, batchOf(0, { sweeps: new Map([['f:user', '1']]) }));
  await store.apply(0, TOKEN, batchOf(1, { sweeps: new Map([['f:user', '2']]) }));
  await store.clearSweeps(0, TOKEN, new Map([['f:user', '1']]), KNOWN);
  assert.equal((await store.owedSweeps([0]))[0]?.get('f:user'), '2');
  await store.clearSweeps(0, TOKEN, new Map([['f:user', '2']]), KNOWN);
  assert.equal((await store.owedSweeps([0]))[0]?.get('f:user'), undefined);
});

test('a rule that takes the place of an older one owes a sweep of its family; the first, and the same again, owe none', async () => {
  await freshCell();
  const rule = (hash: string, offset: number) => rulesOf({ user: hash }, offset, 0x40 + offset);
  const owed = async (): Promise<unknown> => [...((await store.owedSweeps([0]))[0] ?? [])];
  await redis.hdel(keyspace.sweeps(0), '*');
  await store.apply(0, TOKEN, batchOf(0, { rules: [rule('h1', 1)] }));
  await store.apply(0, TOKEN, batchOf(1, { rules: [rule('h1', 2)] }));
  assert.deepEqual(await owed(), []);
  await store.apply(0, TOKEN, batchOf(2, { rules: [rule('h2', 3)] }));
  assert.deepEqual(await owed(), [['f:user', '3']]);
  assert.equal(await redis.hget(keyspace.state(0), 'f:user'), '3:0000000000000043');
  assert.equal(await redis.hget(keyspace.state(0), 'r:user'), 'h2');
});

/** A file's families, each to its rule hash. */
const KNOWN = new Map([['user', 'h1']]);

function entries(list: readonly (readonly [commitLsn: number, hash: number])[]): Uint8Array {
  const bytes = Buffer.alloc(list.length * 12);
  list.forEach(([commitLsn, hash], i) => {
    bytes.writeBigUInt64BE(BigInt(commitLsn), i * 12);
    bytes.writeUInt32BE(hash, i * 12 + 8);
  });
  return bytes;
}

/** Method: evict random keys of one bucket, with random settled marks, and after each batch ask the bucket for every eviction so far. */
test('every eviction stays fenced: by its entry, by the fold, or dropped only once settled everywhere', async () => {
  const evictions = fc.array(fc.record({ hash: fc.nat(20), settled: fc.nat(300), replica: fc.nat(300) }), {
    maxLength: 40,
  });
  await fc.assert(
    fc.asyncProperty(evictions, fc.boolean(), async (list, hasReplicas) => {
      await freshCell();
      const evicted = new Map<number, bigint>();
      let [commitLsn, settled, replica] = [0, 0, 0];
      for (const [i, one] of list.entries()) {
        commitLsn += 5;
        settled = Math.max(settled, Math.min(one.settled, commitLsn));
        replica = Math.max(replica, Math.min(one.replica, commitLsn));
        await store.settleReplica([0], TOKEN, { timeline: 1, lsn: lsn(replica) });
        evicted.set(one.hash, BigInt(commitLsn));
        const more = {
          fences: new Map([[7, entries([[commitLsn, one.hash]])]]),
          settledPrimary: { timeline: 1, lsn: lsn(settled) },
          hasReplicas,
        };
        assert.equal((await store.apply(0, TOKEN, batchOf(i, more))).kind, 'applied');
        const bucket = (await redis.hgetBuffer(keyspace.record(0), 'b7')) ?? Buffer.alloc(8);
        assert.ok(bucket.length <= 8 + 8 * 12 && (bucket.length - 8) % 12 === 0);
        const dropped = lsnFromHex((await redis.hget(keyspace.record(0), 'droppedLsn')) ?? '');
        const bound = BigInt(hasReplicas ? Math.min(settled, replica) : settled);
        assert.ok(dropped === 0n || dropped < bound, 'what is dropped is settled everywhere');
        const fold = bucket.readBigUInt64BE(0);
        for (const [hash, at] of evicted) {
          const isListed = Array.from({ length: (bucket.length - 8) / 12 }, (_, n) => 8 + n * 12).some(
            (p) => bucket.readUInt32BE(p + 8) === hash && bucket.readBigUInt64BE(p) >= at,
          );
          assert.ok(isListed || fold >= at || dropped >= at, `the eviction of ${hash} at ${at} is forgotten`);
        }
      }
    }),
    { numRuns: 40 },
  );
});
