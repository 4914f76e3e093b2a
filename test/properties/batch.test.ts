import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Invalidation } from '../../src/protocol/invalidation.ts';
import { cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { RECORD_ITEMS_MAX } from '../../src/protocol/log-record.ts';
import { type Lsn, lsn } from '../../src/protocol/lsn.ts';
import { encodeRecord } from '../../src/protocol/record-codec.ts';
import { PARTITION_BYTES_MAX } from '../../src/relay/to-log.ts';
import { Batcher, type PartitionRecord } from '../../src/relay/batch.ts';

const PARTITIONS = 3;
const START = lsn(100);
const EPOCH = { number: 1, systemId: '7', timeline: 1, slotIdentity: 'a', postmasterStartedAtMs: 0 };

type Step =
  | { readonly kind: 'transaction'; readonly items: readonly Invalidation[]; readonly takeAt: readonly number[] }
  | { readonly kind: 'keepalive' }
  | { readonly kind: 'take'; readonly idle: boolean; readonly settled: boolean };

const item: fc.Arbitrary<Invalidation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.nat(400).map((n): Invalidation => ({ scope: 'key', family: 'user', act: 'evict', key: `user:${n}` })),
  },
  { weight: 1, arbitrary: fc.constant<Invalidation>({ scope: 'family', family: 'user', act: 'evict' }) },
  { weight: 1, arbitrary: fc.nat(5).map((n): Invalidation => ({ scope: 'tag', tag: `org:${n}` })) },
);

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('transaction' as const),
      items: fc.array(item, { maxLength: 200, size: 'max' }),
      takeAt: fc.array(fc.nat(200), { maxLength: 3 }),
    }),
    fc.record({ kind: fc.constant('keepalive' as const) }),
    fc.record({ kind: fc.constant('take' as const), idle: fc.boolean(), settled: fc.boolean() }),
  ),
  { maxLength: 12 },
);

interface Sent {
  readonly partition: number;
  readonly commitLsn: Lsn;
  readonly item: Invalidation;
}

/** Method: decode random transactions, take sends anywhere, also within them, and hold what comes out against what went in. */
function run(
  list: readonly Step[],
  tamper: (record: PartitionRecord, batcher: Batcher) => PartitionRecord,
): { expected: Sent[]; records: PartitionRecord[]; ends: Set<Lsn> } {
  const batcher = new Batcher(PARTITIONS, START);
  const expected: Sent[] = [];
  const records: PartitionRecord[] = [];
  const ends = new Set<Lsn>([START]);
  let clock = 100;
  const take = (idle: boolean, settled: boolean): void => {
    const facts = { bus: 'shop', sourceEpoch: EPOCH, settledPrimary: lsn(0), asOfMs: Number };
    records.push(...batcher.take(facts, { idle, settled }).map((record) => tamper(record, batcher)));
  };
  for (const step of list) {
    if (step.kind === 'take') take(step.idle, step.settled);
    else if (step.kind === 'keepalive') {
      clock += 5;
      ends.add(lsn(clock));
      batcher.idleThrough(lsn(clock));
    } else {
      const commitLsn = lsn((clock += 10));
      batcher.begin(commitLsn, clock);
      step.items.forEach((one, index) => {
        batcher.add(one);
        const partitions = one.scope === 'key' ? [cellOf(hashKey(one.key), PARTITIONS)] : [0, 1, 2];
        for (const partition of partitions) expected.push({ partition, commitLsn, item: one });
        if (step.takeAt.includes(index)) {
          assert.equal(
            batcher.idleThrough(lsn(clock + 1_000_000)),
            false,
            'a keepalive within a transaction says nothing',
          );
          take(index % 2 === 0, false);
        }
      });
      const endLsn = lsn((clock += 3));
      ends.add(endLsn);
      batcher.commit(endLsn);
    }
  }
  while (batcher.pendingItems > 0) take(false, false);
  take(true, false);
  return { expected, records, ends };
}

function checkIntervals(tamper: (record: PartitionRecord, batcher: Batcher) => PartitionRecord): void {
  fc.assert(
    fc.property(steps, (list) => {
      const { expected, records, ends } = run(list, tamper);
      for (let partition = 0; partition < PARTITIONS; partition++) {
        const mine = records.filter((r) => r.partition === partition).map((r) => r.record);
        const owed = expected.filter((e) => e.partition === partition);
        const seen: Sent[] = [];
        let through = START;
        let last: { commitLsn: Lsn; next: number } | undefined;
        for (const record of mine) {
          assert.equal(record.from, through, 'an interval begins where the one before it ended');
          assert.ok(record.to >= record.from && ends.has(record.to), 'a bound is an end LSN');
          const items = record.transactions.flatMap((t) =>
            t.items.map((one) => ({ partition, commitLsn: t.commitLsn, item: one })),
          );
          assert.ok(items.length <= RECORD_ITEMS_MAX);
          seen.push(...items);
          const below = owed.filter((e) => e.commitLsn < record.to).length;
          assert.ok(seen.length >= below, 'every item below `to` is in this record or an earlier one');
          assert.deepEqual(seen, owed.slice(0, seen.length), 'items keep the order of the log');
          assert.equal(record.asOfMs, Number(record.to), 'the time is that of its own end');
          assert.equal(record.sentThrough, lsn(Math.max(0, ...seen.map((s) => Number(s.commitLsn)))));
          const isWithin = last !== undefined && last.commitLsn >= record.from;
          assert.deepEqual(record.after, isWithin ? last : undefined, 'it says what it goes on behind');
          const end = record.transactions.at(-1);
          if (end !== undefined) last = { commitLsn: end.commitLsn, next: end.ordinal + end.items.length };
          through = record.to;
        }
        assert.deepEqual(seen, owed, 'nothing is lost and nothing is sent twice');
      }
    }),
    { numRuns: 300 },
  );
}

test('every item below the end of a record’s interval is in that record or an earlier one, wherever the sends fall', () => {
  checkIntervals((record) => record);
});

test('the property sees an interval that claims a transaction of which items still wait', () => {
  assert.throws(() =>
    checkIntervals(({ partition, record }, batcher) => ({
      partition,
      record: { ...record, to: batcher.decodedThrough },
    })),
  );
});

test('ordinals count the items of a transaction within its partition, across records', () => {
  const batcher = new Batcher(1, START);
  batcher.begin(lsn(110), 0);
  for (let n = 0; n < 120; n++) batcher.add({ scope: 'key', family: 'user', act: 'evict', key: `user:${n}` });
  const facts = { bus: 'shop', sourceEpoch: EPOCH, settledPrimary: lsn(0), asOfMs: () => 0 };
  const ordinals = batcher.take(facts, { idle: false, settled: false }).map((r) => r.record.transactions[0]?.ordinal);
  batcher.add({ scope: 'tag', tag: 'org:1' });
  ordinals.push(batcher.take(facts, { idle: false, settled: false })[0]?.record.transactions[0]?.ordinal);
  assert.deepEqual(ordinals, [0, 50, 100, 120]);
});

test('a partition with sent items gets a record without items once they are settled, and only once', () => {
  const batcher = new Batcher(1, START);
  const facts = (settled: number) => ({
    bus: 'shop',
    sourceEpoch: EPOCH,
    settledPrimary: lsn(settled),
    asOfMs: () => 0,
  });
  batcher.begin(lsn(110), 0);
  batcher.add({ scope: 'tag', tag: 'org:1' });
  batcher.commit(lsn(113));
  assert.equal(batcher.take(facts(100), { idle: false, settled: false }).length, 1);
  assert.equal(batcher.owesSettled(lsn(100)), false);
  assert.equal(batcher.owesSettled(lsn(113)), true);
  assert.equal(batcher.take(facts(113), { idle: false, settled: true }).length, 1);
  assert.equal(batcher.owesSettled(lsn(120)), false);
  assert.equal(batcher.take(facts(120), { idle: false, settled: true }).length, 0);
});

test('what goes to one partition in one send stays below what a broker takes, however long the keys', () => {
  const batcher = new Batcher(1, START);
  batcher.begin(lsn(110), 0);
  for (let n = 0; n < 5000; n++)
    batcher.add({ scope: 'key', family: 'user', act: 'evict', key: `${n}:`.padEnd(1024, 'é') });
  batcher.commit(lsn(120));
  const facts = { bus: 'shop', sourceEpoch: EPOCH, settledPrimary: lsn(0), asOfMs: () => 0 };
  while (batcher.pendingItems > 0) {
    const records = batcher.take(facts, { idle: false, settled: false });
    const bytes = records.reduce((sum, { record }) => sum + Buffer.byteLength(encodeRecord(record)), 0);
    assert.ok(records.length > 0 && bytes < PARTITION_BYTES_MAX);
  }
});

test('rules go into every partition, once in a send', () => {
  const batcher = new Batcher(PARTITIONS, START);
  batcher.begin(lsn(110), 0);
  for (let n = 0; n < 500; n++) batcher.add({ scope: 'key', family: 'user', act: 'evict', key: `user:${n}` });
  batcher.commit(lsn(120));
  const rules = { partitions: PARTITIONS, bucketsPerCell: 1, families: { user: 'h' } };
  const facts = { bus: 'shop', sourceEpoch: EPOCH, settledPrimary: lsn(0), asOfMs: () => 0, rules };
  const records = batcher.take(facts, { idle: false, settled: false });
  const withRules = records.filter(({ record }) => record.rules !== undefined).map(({ partition }) => partition);
  assert.deepEqual(withRules, [0, 1, 2]);
  assert.ok(records.length > PARTITIONS);
});

/** Feeds faster than sends empty the lane, in transactions of `items`, in a heap that cannot hold all that was sent. */
function overload(items: number): { readonly status: number | null; readonly stderr: string } {
  const program = `
    import { Batcher } from ${JSON.stringify(new URL('../../src/relay/batch.ts', import.meta.url).href)};
    const batcher = new Batcher(1, 100n);
    const facts = { bus: 'b', sourceEpoch: ${JSON.stringify(EPOCH)}, settledPrimary: 0n, asOfMs: () => 0 };
    for (let n = 0; n < 2_000_000; n++) {
      if (n % ${items} === 0) batcher.begin(BigInt(1000 + n), 0);
      batcher.add({ scope: 'tag', tag: 'org:' + n });
      if (n % ${items} === ${items - 1}) batcher.commit(BigInt(1001 + n));
      while (batcher.pendingItems > 10_000) batcher.take(facts, { idle: false, settled: false });
    }
    if (batcher.pendingItems === 0) throw new Error('the lane was emptied');`;
  const node = ['--max-old-space-size=48', '--input-type=module', '--eval', program];
  return spawnSync(process.execPath, node, { encoding: 'utf8' });
}

test('what was sent is forgotten though more always waits, in small transactions and in one without end', () => {
  for (const items of [1, 4_000_000]) {
    const { status, stderr } = overload(items);
    assert.equal(status, 0, stderr.slice(-500));
  }
});
