import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HotKeySampler } from '../../src/client/hot-keys.ts';
import { decodeHotBucket, encodeHotBucket, decodeHotReads, encodeHotReads } from '../../src/protocol/hot-key.ts';
import { seeded } from '../support/seeded.ts';

/** Numbers in [0, 1). */
function chance(seed: number): () => number {
  const draw = seeded(seed);
  return () => draw(2 ** 32) / 2 ** 32;
}

test('a family that is read seldom is counted read by read, with what its loads cost', () => {
  const sampler = new HotKeySampler(chance(1));
  for (const key of ['a', 'b', 'a', 'c', 'a', 'b']) sampler.read(key);
  sampler.loaded('b', 12, 340);
  assert.deepEqual(sampler.report(200), {
    reads: 6,
    keys: [
      { key: 'a', reads: 3, loadMs: 0, bytes: 0 },
      { key: 'b', reads: 2, loadMs: 12, bytes: 340 },
      { key: 'c', reads: 1, loadMs: 0, bytes: 0 },
    ],
  });
  assert.equal(sampler.report(200), undefined, 'a report begins anew');
});

test('of a family that is read much a sample is counted, and scaled up to what was read', () => {
  const sampler = new HotKeySampler(chance(7));
  const reads = 400_000;
  for (let window = 0; window < 3; window++) {
    for (let i = 0; i < reads; i++) sampler.read(i % 4 === 0 ? 'hot' : i % 10 === 1 ? 'warm' : `k${i}`);
    const report = sampler.report(200);
    const of = (key: string) => (report?.keys.find((one) => one.key === key)?.reads ?? 0) / reads;
    assert.ok(Math.abs((report?.reads ?? 0) / reads - 1) < 0.1, `${report?.reads} of ${reads} reads`);
    assert.ok(Math.abs(of('hot') - 0.25) < 0.04, `hot ${of('hot')}`);
    assert.ok(Math.abs(of('warm') - 0.1) < 0.03, `warm ${of('warm')}`);
    assert.ok((report?.keys.length ?? 0) <= 200);
  }
});

test('what is told of reads is read as it was written; anything else is refused by its code', () => {
  const reads = {
    process: 'p1',
    seconds: 5,
    families: new Map([['user', { reads: 10, keys: [{ key: 'user:1', reads: 7, loadMs: 3, bytes: 90 }] }]]),
  };
  const text = encodeHotReads(reads);
  assert.deepEqual(decodeHotReads(text, 'here'), reads);
  const broken = [
    '',
    'x',
    'null',
    '[]',
    '{}',
    text.replace('"v":1', '"v":2'),
    text.replace('"user:1"', '""'),
    text.replace('7', '-7'),
    text.replace('7', '"7"'),
    text.replace('[10,', '[null,'),
    text.replace('90', '90,1'),
    text.replace('"s":5', '"s":1e999'),
    // Added up it would be infinite, and what is infinite cannot be published.
    text.replace('7', '1e308'),
    text.replace('user:1', 'x'.repeat(1025)),
    text.replace('user:1', 'ä'.repeat(513)),
  ];
  for (const one of broken) assert.throws(() => decodeHotReads(one, 'here'), { code: 'HOT_KEYS_INVALID' }, one);
});

test('a bucket of a time that is none is refused as any other that cannot be read', () => {
  const text = encodeHotBucket('eu', { family: 'user', bucket: 1, atMs: 5, keys: [] });
  assert.equal(decodeHotBucket(text, 'here').atMs, 5);
  assert.throws(() => decodeHotBucket(text.replace('"a":5', '"a":1e300'), 'here'), { code: 'HOT_KEYS_INVALID' });
});
