import fc from 'fast-check';
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { copyOf, freezeWhole } from '../../src/client/copy-of.ts';

test('a copy is equal to what it was made of, an own key __proto__ included', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const value = JSON.parse(text) as unknown;
      freezeWhole(value);
      assert.deepEqual(copyOf(value), JSON.parse(text));
    }),
  );
  const named = JSON.parse('{"__proto__":{"a":1}}') as object;
  assert.equal(JSON.stringify(copyOf(named)), '{"__proto__":{"a":1}}');
});

test('a copy has no part in common with another, and can be written to', () => {
  const value = { a: { b: [1, { c: 2 }] }, at: new Date(0), bytes: new Uint8Array([1, 2]) };
  const copy = copyOf(value) as typeof value;
  (copy.a.b[1] as { c: number }).c = 3;
  copy.a.b.push(4);
  copy.at.setTime(1);
  copy.bytes[0] = 9;
  assert.deepEqual(value, { a: { b: [1, { c: 2 }] }, at: new Date(0), bytes: new Uint8Array([1, 2]) });
  assert.deepEqual(copy, { a: { b: [1, { c: 3 }, 4] }, at: new Date(1), bytes: new Uint8Array([9, 2]) });
});

test('what is frozen whole throws wherever it is written to; a date or bytes cannot be', () => {
  const value = { a: { b: [1, { c: 2 }] } };
  assert.equal(freezeWhole(value), true);
  assert.throws(() => (value.a.b[1] = 5), TypeError);
  assert.throws(() => ((value.a.b[1] as { c: number }).c = 5), TypeError);
  assert.equal(freezeWhole({ at: new Date(0) }), false);
  assert.equal(freezeWhole([new Uint8Array([1])]), false);
  assert.equal(freezeWhole('text'), true);
});
