import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isBusError } from '../../src/protocol/errors.ts';
import type { LogRecord } from '../../src/protocol/log-record.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { decodeRecord, encodeRecord } from '../../src/protocol/record-codec.ts';

const PLAIN = { noNullPrototype: true } as const;
const anyLsn = fc.bigInt({ min: 0n, max: (1n << 63n) - 1n }).map(lsn);
const word = fc.string({ unit: 'binary', maxLength: 12 });
const act = fc.constantFrom('evict' as const, 'refresh' as const, 'expire' as const);
/** Few families and acts, so that neighbours share their lists, and break them. */
const family = fc.oneof(fc.constantFrom('user', 'org'), word);
const item = fc.oneof(
  { weight: 3, arbitrary: fc.record({ scope: fc.constant('key' as const), family, act, key: word }, PLAIN) },
  fc.record({ scope: fc.constant('family' as const), family, act }, PLAIN),
  fc.record({ scope: fc.constant('tag' as const), tag: word }, PLAIN),
);
/** Milliseconds with the microseconds of Postgres as their fraction. */
const time = fc.nat(2 ** 31).map((n) => 1_767_225_600_000 + n / 1000);
const sourceEpoch = fc.record(
  { number: fc.nat(), systemId: word, timeline: fc.nat(), slotIdentity: word, postmasterStartedAtMs: time },
  PLAIN,
);
const transaction = fc.record(
  { commitLsn: anyLsn, committedAtMs: time, ordinal: fc.nat(), items: fc.array(item, { maxLength: 8 }) },
  PLAIN,
);
const rules = fc.record(
  {
    partitions: fc.nat(),
    bucketsPerCell: fc.nat(),
    families: fc.dictionary(
      word.filter((name) => name !== '__proto__'),
      word,
      { noNullPrototype: true },
    ),
  },
  PLAIN,
);
const record: fc.Arbitrary<LogRecord> = fc
  .record(
    {
      bus: word,
      sourceEpoch,
      from: anyLsn,
      length: fc.nat(),
      sentThrough: anyLsn,
      settledPrimary: anyLsn,
      asOfMs: time,
      transactions: fc.array(transaction, { maxLength: 4 }),
      after: fc.option(fc.record({ commitLsn: anyLsn, next: fc.nat() }, PLAIN), { nil: undefined }),
      rules: fc.option(rules, { nil: undefined }),
    },
    PLAIN,
  )
  .map(({ length, rules, after, ...rest }) => ({
    ...rest,
    to: lsn(rest.from + BigInt(length)),
    ...(after === undefined ? {} : { after }),
    ...(rules === undefined ? {} : { rules }),
  }));

test('a record is read as it was written', () => {
  fc.assert(fc.property(record, (one) => assert.deepEqual(decodeRecord(encodeRecord(one), 'here'), one)));
});

test('neighbours of one family and act share one list', () => {
  const key = (name: string, act: 'evict' | 'refresh' = 'evict') =>
    ({ scope: 'key', family: 'user', act, key: name }) as const;
  const items = [key('a'), key('b'), key('c', 'refresh'), { scope: 'tag', tag: 'org:7' } as const, key('d', 'refresh')];
  const one = fc.sample(record, { numRuns: 1, seed: 1 })[0];
  assert.ok(one !== undefined);
  const transactions = [{ commitLsn: lsn(1), committedAtMs: 0, ordinal: 0, items }];
  const raw = JSON.parse(encodeRecord({ ...one, transactions })) as { t: unknown[][] };
  assert.deepEqual(raw.t[0]?.[3], [
    ['k', 'user', 'evict', 'a', 'b'],
    ['k', 'user', 'refresh', 'c'],
    ['t', 'org:7'],
    ['k', 'user', 'refresh', 'd'],
  ]);
});

/** Reads it, or refuses it with its place and one of the two codes; nothing else may come out. */
function reads(text: string): LogRecord | undefined {
  try {
    return decodeRecord(text, 'partition 3, offset 7');
  } catch (error) {
    assert.ok(isBusError(error, 'RECORD_INVALID') || isBusError(error, 'RECORD_VERSION_UNKNOWN'), String(error));
    assert.equal(error.at, 'partition 3, offset 7');
    return undefined;
  }
}

test('a spoilt record is refused with its place, or is another whole record', () => {
  fc.assert(
    fc.property(record, fc.nat(), fc.string({ unit: 'binary', maxLength: 3 }), (one, at, put) => {
      const encoded = encodeRecord(one);
      const place = at % encoded.length;
      assert.equal(reads(encoded.slice(0, place)), undefined, 'cut short');
      const spoilt = reads(encoded.slice(0, place) + put + encoded.slice(place + 1));
      if (spoilt !== undefined) assert.deepEqual(decodeRecord(encodeRecord(spoilt), 'again'), spoilt);
    }),
    { numRuns: 2000 },
  );
});

test('garbage is refused by a code, whatever it is', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => assert.equal(reads(text), undefined)));
  fc.assert(fc.property(fc.json(), (text) => assert.equal(reads(text), undefined)));
  for (const text of ['', 'null', '[]', '1e999', '['.repeat(1_000_000), `{"v":1,"i":${'['.repeat(10_000)}`])
    reads(text);
});

test('each part of a record that has the wrong form is refused', () => {
  // Method: replace one value at a time, anywhere in the record, by values of every other kind.
  const one = fc.sample(
    record.filter(({ rules, transactions }) => rules !== undefined && transactions.length > 1),
    {
      numRuns: 1,
      seed: 7,
    },
  )[0];
  assert.ok(one !== undefined);
  const text = encodeRecord(one);
  let accepted = 0;
  for (const put of [null, true, -1, 'x', [], {}]) {
    for (let place = 0; place < countValues(JSON.parse(text)); place++) {
      if (reads(JSON.stringify(replaceValue(JSON.parse(text), place, put))) !== undefined) accepted += 1;
    }
  }
  assert.ok(accepted > 0, 'a text for a text is another record');
  const raw = JSON.parse(text) as Record<string, unknown>;
  assert.equal(reads(text.replace(/"a":[\d.]+/, '"a":1e999')), undefined, 'a number beyond all numbers');
  for (const field of ['v', 'bus', 'e', 'i', 'h', 's', 'a', 't']) {
    const rest = Object.fromEntries(Object.entries(raw).filter(([name]) => name !== field));
    assert.equal(reads(JSON.stringify(rest)), undefined, `without ${field}`);
  }
});

function countValues(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return 1 + Object.values(value).reduce((sum: number, item) => sum + countValues(item), 0);
}

/** The value with one of its parts, counted from the outside in, replaced. */
function replaceValue(value: unknown, place: number, put: unknown): unknown {
  let left = place;
  const walk = (part: unknown): unknown => {
    if (left-- === 0) return put;
    if (Array.isArray(part)) return part.map(walk);
    if (typeof part !== 'object' || part === null) return part;
    return Object.fromEntries(Object.entries(part).map(([name, item]) => [name, walk(item)]));
  };
  return walk(value);
}

test('the version of another release has a code of its own', () => {
  for (const version of ['2', '"1"', 'null', '{}'])
    assert.throws(() => decodeRecord(`{"v":${version}}`, 'x'), { code: 'RECORD_VERSION_UNKNOWN' });
});
