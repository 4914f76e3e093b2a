import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { cellTag, hashSlotOf } from '../../src/protocol/cell-tag.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { bucketOf, cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import { printKeyParameter } from '../../src/protocol/key-parameter.ts';
import { type KeyTemplate, matcherOf, parseKeyTemplate, printKey } from '../../src/protocol/key-template.ts';
import { createKeyspace } from '../../src/protocol/keyspace.ts';
import type { LogRecord } from '../../src/protocol/log-record.ts';
import { lsn, lsnBefore, lsnFromHex, lsnFromPostgres, lsnToHex, lsnToPostgres } from '../../src/protocol/lsn.ts';
import { decodeRecord, encodeRecord } from '../../src/protocol/record-codec.ts';
import { parseSettledMark, printSettledMark } from '../../src/protocol/settled-mark.ts';

const literal = fc.string({ unit: fc.constantFrom(...'abz09:/;,.-_@#&=('), maxLength: 4 });
const template = fc
  .array(literal, { minLength: 1, maxLength: 4 })
  .map((literals) => literals.map((text, i) => (i === 0 ? text : `{p${i}}${text}`)).join(''))
  .map((text) => parseKeyTemplate(text))
  .filter((result) => result.kind === 'template')
  .map((result) => (result as { template: KeyTemplate }).template);
const text = fc.string({ unit: 'binary', maxLength: 6 }).filter((value) => value.isWellFormed());

test('two different sets of values never print one key, and each printed key is known as its template’s', () => {
  const pair = template.chain((one) => {
    const values = fc.array(text, { minLength: one.parameters.length, maxLength: one.parameters.length });
    return fc.tuple(fc.constant(one), values, values);
  });
  fc.assert(
    fc.property(pair, ([one, a, b]) => {
      const print = (values: readonly string[]): string =>
        printKey(
          one,
          values.map((value) => printKeyParameter('text', value)),
        );
      assert.equal(print(a) === print(b), JSON.stringify(a) === JSON.stringify(b));
      assert.ok(matcherOf(one)(print(a)));
    }),
    { numRuns: 2000 },
  );
});

test('what an application passes prints as what Postgres prints', () => {
  const same = (type: Parameters<typeof printKeyParameter>[0], ...values: unknown[]): void =>
    assert.equal(new Set(values.map((value) => printKeyParameter(type, value))).size, 1);
  same('integer', '42', 42, 42n, '+42', '0042');
  same('integer', '0', -0, 0n, '-0');
  same('integer', '-9223372036854775808', -9223372036854775808n);
  same(
    'uuid',
    '6f1c0f5e-5d1e-4f0b-9d56-3f6f4c1f2a10',
    '6F1C0F5E-5D1E-4F0B-9D56-3F6F4C1F2A10',
    '{6f1c0f5e5d1e4f0b9d563f6f4c1f2a10}',
    '6f1c-0f5e-5d1e-4f0b-9d56-3f6f-4c1f-2a10',
  );
  same('boolean', 't', true, 'true');
  assert.equal(printKeyParameter('date', '0044-03-15 BC'), '0044-03-15%20BC');
  assert.equal(printKeyParameter('text', 'a:b{c}é %'), 'a%3Ab%7Bc%7Dé%20%25');
});

test('what has no canonical form is refused, whatever it is', () => {
  const types = fc.constantFrom('text', 'integer', 'uuid', 'boolean', 'date') as fc.Arbitrary<
    'text' | 'integer' | 'uuid' | 'boolean' | 'date'
  >;
  fc.assert(
    fc.property(types, fc.anything(), (type, value) => {
      try {
        assert.equal(typeof printKeyParameter(type, value), 'string');
      } catch (error) {
        assert.ok(isBusError(error, 'KEY_PARAMETER_INVALID'), String(error));
      }
    }),
  );
  for (const [type, value] of [
    ['integer', 1.5],
    ['integer', '9223372036854775808'],
    ['integer', ''],
    ['text', '\ud800'],
    ['uuid', '{6f1c0f5e5d1e4f0b9d563f6f4c1f2a10'],
    ['boolean', 1],
    ['date', '2026-2-3'],
    ['text', null],
  ] as const) {
    assert.throws(() => printKeyParameter(type, value), { code: 'KEY_PARAMETER_INVALID' });
  }
});

test('keys are hashed by MurmurHash3, 32 bits, seed 0', () => {
  const vectors = {
    '': 0,
    test: 0xba6bd213,
    'Hello, world!': 0xc0363e43,
    'The quick brown fox jumps over the lazy dog': 0x2e4ff723,
  };
  for (const [key, hash] of Object.entries(vectors)) assert.equal(hashKey(key), hash);
});

test('cells and buckets are spread evenly over real keys', () => {
  const [cells, buckets] = [12, 5461];
  const perCell = Array.from({ length: cells }, () => 0);
  const used = new Set<number>();
  for (let id = 0; id < 120_000; id++) {
    const hash = hashKey(`user:${id}`);
    perCell[cellOf(hash, cells)]! += 1;
    if (cellOf(hash, cells) === 0) used.add(bucketOf(hash, cells, buckets));
  }
  for (const count of perCell) assert.ok(Math.abs(count - 10_000) < 500, `${count} keys in a cell`);
  assert.ok(used.size > buckets * 0.8, 'a cell uses all of its buckets');
});

test('the tags of cells lie in equal parts of the hash slots', () => {
  assert.equal(hashSlotOf('123456789'), 12_739, 'the test vector of the Redis Cluster specification');
  for (const cells of [1, 12, 48]) {
    for (let cell = 0; cell < cells; cell++)
      assert.equal(Math.floor((hashSlotOf(cellTag(cell, cells)) * cells) / 16_384), cell);
  }
});

test('a cache key comes back from its Redis key, in a cluster or not', () => {
  for (const clustered of [false, true]) {
    const keyspace = createKeyspace({ bus: 'shop', prefix: 'shop:', cells: 12, clustered });
    assert.equal(keyspace.cacheKey(keyspace.valueKey('user:42', 3)), 'user:42');
    assert.equal(keyspace.cacheKey('other:user:42'), undefined);
  }
});

test('LSNs and settled marks keep their value and their order in every form', () => {
  const value = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
  fc.assert(
    fc.property(value, value, fc.nat(0x7fffffff), (a, b, timeline) => {
      assert.equal(lsnFromHex(lsnToHex(lsn(a))), a);
      assert.equal(lsnFromPostgres(lsnToPostgres(lsn(a))), a);
      assert.equal(lsnToHex(lsn(a)) < lsnToHex(lsn(b)), a < b);
      const mark = { timeline, lsn: lsn(a) };
      assert.deepEqual(parseSettledMark(printSettledMark(mark)), mark);
    }),
  );
  assert.equal(lsnBefore(lsn(0)), 0n);
  for (const bad of ['16/B374D848x', '', '1/2/3', '123456789/0'])
    assert.throws(() => lsnFromPostgres(bad), { code: 'LSN_INVALID' });
});

const anyLsn = fc.bigInt({ min: 0n, max: (1n << 60n) - 1n }).map(lsn);
const item = fc.oneof(
  fc.record({
    scope: fc.constant('key' as const),
    family: fc.constantFrom('user', 'org'),
    act: fc.constantFrom('evict' as const, 'expire' as const),
    key: fc.string({ unit: 'binary' }),
  }),
  fc.record({ scope: fc.constant('family' as const), family: fc.string(), act: fc.constant('refresh' as const) }),
  fc.record({ scope: fc.constant('tag' as const), tag: fc.string() }),
);
const record: fc.Arbitrary<LogRecord> = fc
  .record({
    bus: fc.string(),
    sourceEpoch: fc.record({
      number: fc.nat(),
      systemId: fc.string(),
      timeline: fc.nat(),
      slotIdentity: fc.string(),
      postmasterStartedAtMs: fc.nat(),
    }),
    from: anyLsn,
    length: fc.nat(),
    sentThrough: anyLsn,
    settledPrimary: anyLsn,
    asOfMs: fc.nat(),
    transactions: fc.array(
      fc.record({ commitLsn: anyLsn, committedAtMs: fc.nat(), ordinal: fc.nat(), items: fc.array(item) }),
      { maxLength: 4 },
    ),
  })
  .map(({ length, ...rest }) => ({ ...rest, to: lsn(rest.from + BigInt(length)) }));

test('a record is read as it was written', () => {
  fc.assert(
    fc.property(record, (one) => assert.deepEqual(decodeRecord(encodeRecord(one), 'here'), structuredClone(one))),
  );
});

test('a spoilt record is refused with its place, and an unknown version by its own code', () => {
  const refuses = (spoilt: string): void => {
    try {
      decodeRecord(spoilt, 'partition 3, offset 7');
    } catch (error) {
      assert.ok(
        isBusError(error) && (error.code === 'RECORD_INVALID' || error.code === 'RECORD_VERSION_UNKNOWN'),
        String(error),
      );
      assert.equal(error.at, 'partition 3, offset 7');
    }
  };
  fc.assert(
    fc.property(record, fc.nat(), fc.string({ maxLength: 3 }), (one, at, put) => {
      const encoded = encodeRecord(one);
      const place = at % encoded.length;
      refuses(encoded.slice(0, place) + put + encoded.slice(place + 1));
      refuses(encoded.slice(0, place));
    }),
  );
  fc.assert(fc.property(fc.json(), refuses));
  assert.throws(() => decodeRecord('{"v":2}', 'x'), { code: 'RECORD_VERSION_UNKNOWN' });
  assert.throws(() => decodeRecord('null', 'x'), { code: 'RECORD_INVALID' });
});
