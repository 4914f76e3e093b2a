import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodePayload, encodePayload, jsonOfPayload } from '../../src/client/codec.ts';
import { entityTagOf, isMatched, isNoneMatched } from '../../src/client/entity-tag.ts';
import { demandOf } from '../../src/client/request-demand.ts';
import { Representations } from '../../src/client/representation.ts';

const character = fc.constantFrom(...'abz09-_,*;/W!#~éÿ');
const opaque = fc.array(character, { maxLength: 6 }).map((all) => `"${all.join('')}"`);
const space = fc.constantFrom('', ' ', '\t', '  ');
const element = fc.record({ isWeak: fc.boolean(), opaque, before: space, after: space });
const list = fc.array(fc.oneof(element, fc.constant(undefined)), { maxLength: 6 });
const printed = (elements: readonly (typeof element extends fc.Arbitrary<infer E> ? E | undefined : never)[]): string =>
  elements
    .map((one) => (one === undefined ? '' : `${one.before}${one.isWeak ? 'W/' : ''}${one.opaque}${one.after}`))
    .join(',');

test('If-None-Match names a tag if any element of its list does, weak or not; If-Match only if a strong one does', () => {
  // Method: print a list with empty elements, spaces, and commas in tags, and compare with the elements that it was printed from.
  fc.assert(
    fc.property(list, opaque, (elements, tag) => {
      const given = elements.filter((one) => one !== undefined);
      assert.equal(
        isNoneMatched(printed(elements), tag),
        given.some((one) => one.opaque === tag),
      );
      assert.equal(
        isMatched(printed(elements), tag),
        given.some((one) => one.opaque === tag && !one.isWeak),
      );
      for (const one of given) assert.ok(isNoneMatched(printed(elements), one.opaque));
    }),
  );
});

test('what is no list of tags names nothing, and no text throws', () => {
  const tag = entityTagOf(Buffer.from('x'));
  fc.assert(
    fc.property(fc.constantFrom('x', '"', ' "', `${tag} `, 'w/', 'W/ ', "'"), space, (broken, gap) => {
      assert.ok(!isNoneMatched(`${tag},${gap}${broken}${tag}`, tag));
      assert.ok(!isMatched(`${tag},${gap}${broken}${tag}`, tag));
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => void [isNoneMatched(text, tag), isMatched(text, tag)]));
  assert.ok(!isNoneMatched(`${' '.repeat(200_000)}x`, tag), 'and is read in a time that grows with its length alone');
});

test('the same bytes have the same tag, others another, and a tag names itself', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (one, other) => {
      assert.match(entityTagOf(one), /^"[\w-]{22}"$/);
      assert.equal(entityTagOf(one) === entityTagOf(other), Buffer.compare(one, other) === 0);
      assert.ok(isNoneMatched(entityTagOf(one), entityTagOf(one)));
    }),
  );
  assert.equal(entityTagOf(Buffer.from('{"v":1}')), '"r7-dDzVgsP13legcQqCnnu"', 'in every process and release');
});

test('a value is sent as the same bytes, hence with the same tag, from its text in Redis and from the memory of a process', () => {
  const family = { name: 'f', codec: 'json' } as const;
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      if (value === null) return;
      const payload = encodePayload(value, family);
      const representations = new Representations(undefined);
      const told = { ageMs: 0, leftMs: 0, held: undefined };
      const stored = representations.of({ ...told, value: decodePayload(payload), payload });
      const held = representations.of({ ...told, value: decodePayload(payload), payload: undefined });
      assert.deepEqual(Buffer.from(held.body), Buffer.from(stored.body));
      assert.equal(held.entityTag, stored.entityTag);
      assert.equal(String(stored.body), JSON.stringify(value));
      // This codec refuses this one name.
      if (JSON.stringify(value).includes('__proto__')) return;
      const packed = encodePayload(value, { name: 'f', codec: 'msgpack' });
      assert.equal(jsonOfPayload(packed), undefined);
      const unpacked = representations.of({ ...told, value: decodePayload(packed), payload: packed });
      assert.equal(String(unpacked.body), JSON.stringify(value));
    }),
  );
});

test('a request’s directives are read in any order, case and number; the least max-age counts', () => {
  const directive = fc.oneof(
    fc.nat(1000).map((seconds) => ({ text: `max-age=${seconds}`, seconds })),
    fc.nat(1000).map((seconds) => ({ text: `Max-Age="${seconds}"`, seconds })),
    fc.constantFrom('no-store', 'min-fresh=3', 'x="a, no-cache"', 'max-age=x', 'max-age', '', '=').map((text) => ({
      text,
      seconds: undefined,
    })),
  );
  fc.assert(
    fc.property(fc.array(directive), fc.boolean(), (directives, isHeldOnly) => {
      const text = [...directives.map((one) => one.text), ...(isHeldOnly ? ['Only-If-Cached'] : [])].join(', ');
      const ages = directives.flatMap(({ seconds }) => (seconds === undefined ? [] : [seconds * 1000]));
      assert.deepEqual(demandOf({ 'cache-control': text }), {
        maxStalenessMs: ages.length === 0 ? undefined : Math.min(...ages),
        isHeldOnly,
      });
      assert.equal(demandOf({ 'cache-control': `${text},NO-CACHE` }).maxStalenessMs, 0);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => void demandOf({ 'cache-control': text, pragma: text })));
});

test('max-stale loosens what max-age asks for, and nothing else', () => {
  const bound = (text: string): number | undefined => demandOf({ 'cache-control': text }).maxStalenessMs;
  assert.deepEqual(
    [
      'max-stale',
      'max-age=5, max-stale',
      'max-stale=3, max-age=5',
      'max-stale=x, max-age=5',
      'no-cache, max-stale',
    ].map(bound),
    [undefined, undefined, 8000, 5000, 0],
  );
  assert.equal(bound(`max-age=${'9'.repeat(400)}`), 2 ** 31 * 1000);
  assert.deepEqual(demandOf({ pragma: 'No-Cache' }).maxStalenessMs, 0);
  assert.deepEqual(demandOf({ pragma: 'no-cache', 'cache-control': 'max-age=7' }).maxStalenessMs, 7000);
  assert.deepEqual(demandOf({ pragma: 'no-cached' }).maxStalenessMs, undefined);
});
