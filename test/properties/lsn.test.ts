import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lsn, lsnBefore, lsnFromHex, lsnFromPostgres, lsnToHex, lsnToPostgres } from '../../src/protocol/lsn.ts';
import { parseSettledMark, printSettledMark } from '../../src/protocol/settled-mark.ts';

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
