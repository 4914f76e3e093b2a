import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  LSN_ZERO,
  lsn,
  lsnBefore,
  lsnFromHex,
  lsnFromPostgres,
  lsnMax,
  lsnMin,
  lsnToHex,
  lsnToPostgres,
} from '../../src/protocol/lsn.ts';
import { parseSettledMark, printSettledMark } from '../../src/protocol/settled-mark.ts';

const value = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });

test('an LSN comes back from both of its forms', () => {
  fc.assert(
    fc.property(value, (one) => {
      assert.equal(lsnFromHex(lsnToHex(lsn(one))), one);
      assert.equal(lsnFromPostgres(lsnToPostgres(lsn(one))), one);
      assert.equal(lsnFromPostgres(lsnToPostgres(lsn(one)).toLowerCase()), one);
    }),
  );
  assert.equal(lsnFromPostgres('16/B374D848'), 0x16_b374_d848n);
  assert.equal(lsnToPostgres(lsn(0x16_b374_d848n)), '16/B374D848');
  assert.equal(lsnToPostgres(LSN_ZERO), '0/0');
  assert.equal(lsnToHex(lsn(0x16_b374_d848n)), '00000016b374d848');
});

test('the order of the hex texts is the order of the LSNs', () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      assert.equal(lsnToHex(lsn(a)) < lsnToHex(lsn(b)), a < b);
      assert.equal(lsnMax(lsn(a), lsn(b)), a > b ? a : b);
      assert.equal(lsnMin(lsn(a), lsn(b)), a < b ? a : b);
    }),
  );
});

test('the order of the settled marks’ texts is first by timeline, then by LSN', () => {
  const timeline = fc.oneof(fc.nat(3), fc.nat(0xffff_ffff));
  fc.assert(
    fc.property(timeline, timeline, value, value, (t1, t2, a, b) => {
      const [one, two] = [
        { timeline: t1, lsn: lsn(a) },
        { timeline: t2, lsn: lsn(b) },
      ];
      assert.deepEqual(parseSettledMark(printSettledMark(one)), one);
      assert.equal(printSettledMark(one) < printSettledMark(two), t1 < t2 || (t1 === t2 && a < b));
    }),
  );
});

test('before the first LSN there is none', () => {
  assert.equal(lsnBefore(LSN_ZERO), 0n);
  assert.equal(lsnBefore(lsn(1)), 0n);
  assert.equal(lsnBefore(lsn((1n << 64n) - 1n)), (1n << 64n) - 2n);
});

test('what is no LSN is refused by its code', () => {
  const refused = { code: 'LSN_INVALID' };
  for (const text of [
    '',
    '16',
    '16/',
    '/0',
    '16/B374D848x',
    '1/2/3',
    '123456789/0',
    '0/123456789',
    ' 0/0',
    '-1/0',
    '0x1/0',
  ])
    assert.throws(() => lsnFromPostgres(text), refused, text);
  for (const text of ['', '0', '00000016B374D848', '00000016b374d84', '00000016b374d8480', '0x000016b374d848'])
    assert.throws(() => lsnFromHex(text), refused, text);
  for (const number of [-1n, 1n << 64n, -1]) assert.throws(() => lsn(number), refused, String(number));
});
