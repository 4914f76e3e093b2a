import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { PgoutputDecoder } from '../../src/drivers/postgres/pgoutput/decoder.ts';
import { callSink, type DecodedCall } from '../support/decoded-call.ts';
import * as encode from '../support/pgoutput-encoder.ts';

const name = fc.string({ minLength: 1, maxLength: 12, unit: 'grapheme' }).filter((text) => !text.includes('\0'));
const value = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constant(null),
  fc.constant(undefined),
  fc.string({ minLength: 200 }),
);
const identity = fc.constantFrom('default', 'nothing', 'full', 'index');
const uint32 = fc.nat(0xffff_ffff);
const committedAtMs = fc.integer({ min: 0, max: 4_000_000_000_000 });
const commitLsn = fc.bigInt(0n, 0xffff_ffff_ffff_0000n);

const column = fc.record(
  {
    name,
    typeOid: uint32,
    typeModifier: fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }),
    partOfIdentity: fc.boolean(),
  },
  { noNullPrototype: true },
);

/** Few ids, so that relations are described anew, as after an ALTER TABLE; now and then more columns than a tuple has room for at first. */
const relation = fc.record(
  {
    id: fc.oneof(fc.nat(1), uint32),
    schema: name,
    name,
    replicaIdentity: identity,
    columns: fc.oneof(
      { weight: 9, arbitrary: fc.array(column, { maxLength: 8 }) },
      { weight: 1, arbitrary: fc.array(column, { minLength: 60, maxLength: 80 }) },
    ),
  },
  { noNullPrototype: true },
);

type Step = { readonly bytes: Buffer; readonly expected: DecodedCall };

/** One row change, truncation or message of a relation that was described before. */
function change(of: encode.EncodedRelation): fc.Arbitrary<Step> {
  const row = fc.array(value, { minLength: of.columns.length, maxLength: of.columns.length });
  const oldKind = fc.constantFrom('key' as const, 'full' as const);
  const table = `${of.schema}.${of.name}`;
  return fc.oneof(
    row.map((row) => ({ bytes: encode.insert(of.id, row), expected: { call: 'insert' as const, table, row } })),
    row.map((row) => ({
      bytes: encode.update(of.id, null, 'none', row),
      expected: { call: 'update' as const, table, old: null, oldKind: 'none' as const, row },
    })),
    fc.tuple(row, oldKind, row).map(([old, oldKind, row]) => ({
      bytes: encode.update(of.id, old, oldKind, row),
      expected: { call: 'update' as const, table, old, oldKind, row },
    })),
    fc.tuple(row, oldKind).map(([old, oldKind]) => ({
      bytes: encode.remove(of.id, old, oldKind),
      expected: { call: 'delete' as const, table, old, oldKind },
    })),
    fc.tuple(fc.boolean(), fc.boolean()).map(([cascade, restartIdentity]) => ({
      bytes: encode.truncate([of.id, of.id], cascade, restartIdentity),
      expected: { call: 'truncate' as const, tables: [table, table], cascade, restartIdentity },
    })),
    fc.tuple(commitLsn, name, fc.string({ unit: 'grapheme' })).map(([messageLsn, prefix, content]) => ({
      bytes: encode.message(true, messageLsn, prefix, Buffer.from(content)),
      expected: { call: 'message' as const, transactional: true, messageLsn, prefix, content },
    })),
  );
}

const transaction = relation.chain((described) =>
  fc.record({
    described: fc.constant(described),
    commitLsn,
    committedAtMs,
    xid: uint32,
    changes: fc.array(change(described), { maxLength: 12 }),
  }),
);

test('tells its sink exactly what was encoded, message by message, whatever the values are', () => {
  // Method: random relations and transactions go through an encoder written apart from the decoder, between other bytes.
  fc.assert(
    fc.property(fc.array(transaction, { maxLength: 4 }), (transactions) => {
      const calls: DecodedCall[] = [];
      const decoder = new PgoutputDecoder(callSink((call) => calls.push(call)));
      const expected: DecodedCall[] = [];
      const feed = (bytes: Buffer, call?: DecodedCall): void => {
        const inside = Buffer.concat([Buffer.from('before'), bytes, Buffer.from('behind')]);
        decoder.decode(inside, 6, 6 + bytes.length);
        inside.fill(0x58);
        if (call !== undefined) expected.push(call);
      };
      for (const { described, commitLsn, committedAtMs, xid, changes } of transactions) {
        feed(encode.begin(commitLsn, committedAtMs, xid), { call: 'begin', commitLsn, committedAtMs, xid });
        feed(encode.origin(7n, 'elsewhere'));
        feed(encode.type(70_000, 'public', 'mood'));
        feed(encode.relation(described), { call: 'relation', relation: described });
        for (const change of changes) feed(change.bytes, change.expected);
        const endLsn = commitLsn + 48n;
        feed(encode.commit(commitLsn, endLsn, committedAtMs), { call: 'commit', commitLsn, endLsn, committedAtMs });
      }
      assert.deepEqual(calls, expected);
    }),
  );
});
