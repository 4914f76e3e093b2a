import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Frames } from '../../src/drivers/postgres/frames.ts';
import { isBusError } from '../../src/protocol/errors.ts';

function frame(type: number, body: Uint8Array): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(type);
  head.writeInt32BE(4 + body.length, 1);
  return Buffer.concat([head, body]);
}

test('gives every message once, whole and in order, wherever the blocks are cut', () => {
  // Method: random messages, some larger than the kept buffer, cut at random places; each block is overwritten once it was taken.
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.nat(200_000).map((length) => new Uint8Array(length).fill(length)),
  );
  const messages = fc.array(fc.record({ type: fc.nat(255), body }), { maxLength: 12 });
  fc.assert(
    fc.property(messages, fc.array(fc.nat(), { maxLength: 30 }), (sent, cuts) => {
      const bytes = Buffer.concat(sent.map(({ type, body }) => frame(type, body)));
      const edges = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].toSorted((a, b) => a - b);
      const frames = new Frames();
      const got: { type: number; body: string }[] = [];
      edges.slice(1).forEach((to, i) => {
        const block = Buffer.from(bytes.subarray(edges[i], to));
        frames.push(block, (type, taken, start, end) => {
          got.push({ type, body: taken.toString('latin1', start, end) });
        });
        block.fill(0);
      });
      assert.deepEqual(
        got,
        sent.map(({ type, body }) => ({ type, body: Buffer.from(body).toString('latin1') })),
      );
    }),
  );
});

test('refuses a length that no server sends, before it costs memory', () => {
  for (const length of [3, 0, -1, 0x7fff_ffff]) {
    const head = Buffer.alloc(5);
    head.writeInt32BE(length, 1);
    assert.throws(
      () => new Frames().push(head, () => assert.fail()),
      (error) => isBusError(error, 'PGOUTPUT_MALFORMED'),
    );
  }
});
