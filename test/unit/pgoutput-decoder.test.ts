import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PgoutputDecoder } from '../../src/drivers/postgres/pgoutput/decoder.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import { CAPTURED } from '../support/pgoutput-captured.ts';
import { callSink, type DecodedCall } from '../support/decoded-call.ts';
import * as encode from '../support/pgoutput-encoder.ts';

const USERS: encode.EncodedRelation = {
  id: 7,
  schema: 'public',
  name: 'users',
  replicaIdentity: 'default',
  columns: [
    { name: 'id', typeOid: 20, typeModifier: -1, partOfIdentity: true },
    { name: 'name', typeOid: 25, typeModifier: -1, partOfIdentity: false },
  ],
};

const BEGIN = encode.begin(100n, 0, 1);
const RELATION = encode.relation(USERS);
const INSERT = encode.insert(7, ['1', 'x']);

function decodeAll(messages: readonly Buffer[]): DecodedCall[] {
  const calls: DecodedCall[] = [];
  const decoder = new PgoutputDecoder(callSink((call) => calls.push(call)));
  for (const message of messages) decoder.decode(message);
  return calls;
}

const faults: readonly (readonly [what: string, messages: readonly Buffer[], error: RegExp])[] = [
  ['an empty message', [Buffer.alloc(0)], /at byte 0 of 0: expected a message/],
  ['an unknown message', [Buffer.from('S1234')], /message 'S', at byte 0 of 5: expected one of the messages/],
  ['a BEGIN that is cut', [BEGIN.subarray(0, 12)], /'B', at byte 9 of 12: expected the time of the commit/],
  ['a BEGIN that is too long', [Buffer.concat([BEGIN, Buffer.of(0)])], /'B', at byte 21 of 22: expected the end/],
  ['a BEGIN within a transaction', [BEGIN, BEGIN], /expected the end of the transaction before another begins/],
  [
    'a COMMIT of another',
    [BEGIN, encode.commit(99n, 101n, 0)],
    /expected the commit LSN that the transaction began with/,
  ],
  ['a COMMIT that ends before', [BEGIN, encode.commit(100n, 100n, 0)], /expected an end LSN above the commit LSN/],
  ['a row outside a transaction', [RELATION, INSERT], /'I', at byte 1 of 20: expected a transaction around/],
  [
    'a row of an unknown relation',
    [BEGIN, INSERT],
    /'I', at byte 1 of 20: expected a relation described before, and not 7/,
  ],
  [
    'a row with another number of columns',
    [BEGIN, RELATION, encode.insert(7, ['1'])],
    /'I', at byte 6 of 14: expected 2 columns, as its relation has, and not 1/,
  ],
  [
    'a value longer than its message',
    [BEGIN, RELATION, INSERT.subarray(0, -1)],
    /'I', at byte 19 of 19: expected a value of 1 bytes/,
  ],
  [
    'a value of negative length',
    [BEGIN, RELATION, spoilt(INSERT, 9, -1)],
    /'I', at byte 13 of 20: expected a value of -1 bytes/,
  ],
  [
    'a column of unknown kind',
    [BEGIN, RELATION, Buffer.from(INSERT.toString('latin1').replace('t', 'b'), 'latin1')],
    /'I', at byte 8 of 20: expected a column that begins with n, u or t \(column 0 of 2\)/,
  ],
  ['a table name without end', [RELATION.subarray(0, 15)], /'R', at byte 12 of 15: expected a table name that ends/],
  [
    'more columns than a table can have',
    [spoilt(RELATION, 19, 0xffff_0169 | 0)],
    /'R', at byte 19 of 47: expected at most 1664 columns, and not 65535/,
  ],
  [
    'a TRUNCATE of more relations than it has room for',
    [BEGIN, RELATION, spoilt(encode.truncate([7], false, false), 1, 0x7fff_ffff)],
    /'T', at byte 6 of 10: expected the ids of 2147483647 relations/,
  ],
  [
    'a content longer than its message',
    [BEGIN, spoilt(encode.message(true, 1n, 'p', Buffer.from('xyz')), 12, 0x7fff_ffff)],
    /'M', at byte 16 of 19: expected a content of 2147483647 bytes/,
  ],
];

function spoilt(message: Buffer, at: number, value: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeInt32BE(value, at);
  return copy;
}

for (const [what, messages, error] of faults) {
  test(`refuses ${what}, and says where and what it expected`, () => {
    assert.throws(
      () => decodeAll(messages),
      (thrown) => isBusError(thrown, 'PGOUTPUT_MALFORMED') && error.test(thrown.message),
    );
  });
}

test('never shows a value in an error', () => {
  const secret = encode.insert(7, ['1', 'hunter2']);
  assert.throws(
    () => decodeAll([BEGIN, RELATION, secret.subarray(0, -1)]),
    (thrown) => isBusError(thrown) && !thrown.message.includes('hunter'),
  );
});

test('reads what a real server sent, from the first BEGIN to the last COMMIT', () => {
  const calls = decodeAll(CAPTURED.postgres15.map((hex) => Buffer.from(hex, 'hex')));
  const count = (call: string): number => calls.filter((each) => each.call === call).length;
  assert.deepEqual([count('begin'), count('commit')], [13, 13]);
  assert.deepEqual(
    calls.filter(({ call }) => call === 'update'),
    [
      {
        call: 'update',
        table: 'public.cap_a',
        old: null,
        oldKind: 'none',
        row: ['1', 'ab12ab12-0000-4000-8000-00000000ab12', 'b', 'ok', undefined],
      },
      {
        call: 'update',
        table: 'public.cap_a',
        old: ['1', null, null, null, null],
        oldKind: 'key',
        row: ['10', 'ab12ab12-0000-4000-8000-00000000ab12', 'b', 'ok', undefined],
      },
      {
        call: 'update',
        table: 'public.cap_b',
        old: ['1', '1.50', 't', '2024-02-29', '2024-02-29 12:00:00+00'],
        oldKind: 'full',
        row: ['1', '2.00', 't', '2024-02-29', '2024-02-29 12:00:00+00'],
      },
    ],
  );
});

test('takes the sink’s own error for what it is, and not for a fault of the stream', () => {
  const decoder = new PgoutputDecoder({
    ...callSink(() => undefined),
    insert: () => {
      throw new RangeError('mine');
    },
  });
  decoder.decode(BEGIN);
  decoder.decode(RELATION);
  assert.throws(() => decoder.decode(INSERT), new RangeError('mine'));
});
