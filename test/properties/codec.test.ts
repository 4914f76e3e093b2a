import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodePayload, encodePayload, packPayload, unpackPayload } from '../../src/client/codec.ts';
import { bytesOf, fromByteText, toByteText } from '../../src/protocol/byte-text.ts';

const value = fc.jsonValue({ noUnicodeString: false }).filter((one) => one !== null);
const codec = fc.constantFrom('json', 'msgpack');
const size = fc.constantFrom(0, 1, 20);

test('a value comes back from every codec, compressed or not, as JSON has it, and is bytes on its way', () => {
  fc.assert(
    fc.property(value, codec, size, (given, by, compressBytes) => {
      if (by === 'msgpack' && JSON.stringify(given).includes('"__proto__":')) {
        assert.throws(() => encodePayload(given, { name: 'f', codec: by }), { code: 'CACHE_VALUE_INVALID' });
        return;
      }
      const payload = encodePayload(given, { name: 'f', codec: by });
      assert.ok(payload !== null);
      const packed = packPayload(payload, compressBytes);
      assert.ok(packed.length <= payload.length, 'never larger for being compressed');
      for (const character of packed) assert.ok(character.charCodeAt(0) < 256);
      assert.equal(unpackPayload(packed), payload);
      assert.equal(JSON.stringify(decodePayload(packed)), JSON.stringify(given));
      // As Redis has it and gives it back.
      assert.equal(Buffer.from(bytesOf(packed) as string).toString('latin1'), packed);
    }),
  );
});

test('a text is the bytes of its UTF-8, and comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(Buffer.from(toByteText(text), 'latin1').toString('utf8'), Buffer.from(text).toString('utf8'));
      assert.equal(fromByteText(toByteText(text)), Buffer.from(text).toString('utf8'));
    }),
  );
});

test('a payload of any bytes is a value or none of ours, and never an error', () => {
  const bytes = fc.uint8Array({ maxLength: 40 }).map((some) => Buffer.from(some).toString('latin1'));
  fc.assert(
    fc.property(fc.constantFrom('', '\u0001', '\u0002', '\u0002\u0001'), bytes, (mark, some) => {
      decodePayload(mark + some);
    }),
  );
  for (const broken of ['', '{', '\u0001', '\u0002x', '\u0001\u00c1']) assert.equal(decodePayload(broken), undefined);
  assert.equal(decodePayload(null), null);
});

test('what a codec cannot hold is refused, whichever it is', () => {
  for (const by of ['json', 'msgpack'] as const)
    for (const bad of [
      undefined,
      () => 1,
      Symbol('s'),
      new Map(),
      new Set(),
      { deep: 1n },
      by === 'json' ? Number.NaN : JSON.parse('{"deep":{"__proto__":1}}'),
    ])
      assert.throws(() => encodePayload(bad, { name: 'f', codec: by }), { code: 'CACHE_VALUE_INVALID' });
});

test('MessagePack keeps what JSON turns into text or objects: dates and bytes', () => {
  const given = { at: new Date(5), bytes: new Uint8Array([0, 255]), gone: undefined };
  const read = decodePayload(encodePayload(given, { name: 'f', codec: 'msgpack' }));
  assert.deepEqual(read, { at: new Date(5), bytes: new Uint8Array([0, 255]) });
});
