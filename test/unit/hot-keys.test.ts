import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HotKeySampler } from '../../src/client/hot-keys.ts';
import {
  decodeHotBucket,
  encodeHotBucket,
  decodeHotReads,
  encodeHotReads,
  type FamilyReads,
  REPORT_BYTES_MAX,
  REPORTS_AT_ONCE_MAX,
} from '../../src/protocol/hot-key.ts';
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
  const [text = '', ...more] = encodeHotReads(reads);
  assert.deepEqual(more, []);
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

/** Families of which each key is read less than the one before, all of them alike. */
function muchRead(families: number, keys: number, keyOf: (family: string, rank: number) => string): FamilyReads[] {
  return Array.from({ length: families }, (_, f) => ({
    reads: 5_000_000 + f,
    keys: Array.from({ length: keys }, (_unused, rank) => ({
      key: keyOf(`family-${f}`, rank),
      reads: 10_000 - rank,
      loadMs: 3.2345678,
      bytes: 2345,
    })),
  }));
}
const named = (families: readonly FamilyReads[]) => new Map(families.map((told, f) => [`family-${f}`, told] as const));
const utf8Bytes = (text: string): number => Buffer.byteLength(text);

test('what is much to tell is told in several reports, none longer than a report may be, and nothing twice', () => {
  const families = muchRead(10, 1000, (family, rank) => `${family}:${'é'.repeat(8)}:${rank}`);
  const texts = encodeHotReads({ process: 'p', seconds: 5, families: named(families) });
  assert.ok(texts.length > 1 && texts.length <= REPORTS_AT_ONCE_MAX, `${texts.length} reports`);
  for (const text of texts) assert.ok(utf8Bytes(text) <= REPORT_BYTES_MAX, `${utf8Bytes(text)} bytes`);
  const told = texts.map((text) => decodeHotReads(text, 'here').families);
  families.forEach((family, f) => {
    const parts = told.flatMap((one) => one.get(`family-${f}`) ?? []);
    assert.deepEqual(
      parts.flatMap(({ keys }) => keys),
      family.keys,
    );
    assert.equal(
      parts.reduce((sum, { reads }) => sum + reads, 0),
      family.reads,
    );
  });
});

test('of more than a process may tell at one time the least read keys of each family are left out', () => {
  const families = muchRead(30, 1000, (family, rank) => `${family}:${rank}:${'\n'.repeat(200)}`);
  const texts = encodeHotReads({ process: 'p', seconds: 5, families: named(families) });
  assert.equal(texts.length, REPORTS_AT_ONCE_MAX);
  for (const text of texts) assert.ok(utf8Bytes(text) <= REPORT_BYTES_MAX, `${utf8Bytes(text)} bytes`);
  const ranks = [...named(families).keys()].map(
    (name) => texts.flatMap((text) => decodeHotReads(text, 'here').families.get(name)?.keys ?? []).length,
  );
  assert.ok(Math.min(...ranks) > 10 && Math.max(...ranks) - Math.min(...ranks) <= 1, `${ranks.join()} keys`);
});

test('a bucket of a time that is none is refused as any other that cannot be read', () => {
  const text = encodeHotBucket('eu', { family: 'user', bucket: 1, atMs: 5, keys: [] });
  assert.equal(decodeHotBucket(text, 'here').atMs, 5);
  assert.throws(() => decodeHotBucket(text.replace('"a":5', '"a":1e300'), 'here'), { code: 'HOT_KEYS_INVALID' });
});
