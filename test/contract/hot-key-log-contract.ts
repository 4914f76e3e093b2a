import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { isDeepStrictEqual } from 'node:util';
import type { HotBucket, HotKeyLog } from '../../src/protocol/hot-key.ts';

export interface HotKeyLogUnderTest {
  open(): Promise<HotKeyLog>;
  /** Something that is no bucket, in the place of one of the region. */
  spoil(region: string, family: string, bucket: number): Promise<void>;
  close(): Promise<void>;
}

/** What the place of hot keys promises. */
export function describeHotKeyLog(name: string, start: () => Promise<HotKeyLogUnderTest>): void {
  describe(name, () => {
    let under: HotKeyLogUnderTest;
    let log: HotKeyLog;
    before(async () => {
      under = await start();
      log = await under.open();
    });
    after(async () => {
      await log?.close();
      await under?.close();
    });

    const bucket = (region: string, number: number, rate: number, keys = 1): HotBucket => ({
      family: 'user',
      bucket: number,
      atMs: 1_700_000_000_000,
      keys: Array.from({ length: keys }, (_, i) => ({
        key: `user:${region}-${number}-${i}-ä`,
        readsPerSecond: rate,
        loadMs: 3,
        bytes: 90,
      })),
    });
    const read = async (region: string) => {
      const skipped: string[] = [];
      const buckets: HotBucket[] = [];
      const reader = await under.open();
      for await (const { family, bucket: number, atMs, keys } of reader.read(region, ({ code }) => skipped.push(code)))
        buckets.push({ family, bucket: number, atMs, keys });
      await reader.close();
      return { buckets: buckets.toSorted((a, b) => a.bucket - b.bucket), skipped };
    };

    test('of a region of which nothing was written there is nothing', async () => {
      assert.deepEqual(await read('none'), { buckets: [], skipped: [] });
    });

    test('of each bucket the last that was written is read, and only of the region that is asked for', async () => {
      await log.write('eu', [bucket('eu', 0, 5), bucket('eu', 255, 6), bucket('eu', 7, 1)]);
      await log.write('us', [bucket('us', 0, 9)]);
      await log.write('eu', [bucket('eu', 0, 2), bucket('eu', 7, 3)]);
      assert.deepEqual((await read('eu')).buckets, [bucket('eu', 0, 2), bucket('eu', 7, 3), bucket('eu', 255, 6)]);
      assert.deepEqual((await read('us')).buckets, [bucket('us', 0, 9)]);
    });

    test('many large buckets are written at once, and read whole', async () => {
      const buckets = Array.from({ length: 256 }, (_, number) => bucket('large', number, 1, 400));
      await log.write('large', buckets);
      assert.deepEqual((await read('large')).buckets, buckets);
    });

    test('buckets as full as they may be are written together, with keys that do not compress', async () => {
      const full = (number: number): HotBucket => ({
        ...bucket('full', number, 1),
        keys: Array.from({ length: 3500 }, () => ({ key: randomUUID(), readsPerSecond: 1, loadMs: 0, bytes: 0 })),
      });
      // Every fourth, since the topic of Kafka has four partitions.
      const buckets = Array.from({ length: 16 }, (_, i) => full(4 * i));
      await log.write('full', buckets);
      const told = (await read('full')).buckets;
      // To show how some ten thousand differ would take minutes.
      assert.ok(isDeepStrictEqual(told, buckets));
    });

    test('of a bucket that would be too large the coldest keys are left out', async () => {
      const keys = Array.from({ length: 2000 }, (_, i) => ({
        key: `user:${String(i).padStart(1000, '0')}`,
        readsPerSecond: 2000 - i,
        loadMs: 0,
        bytes: 0,
      }));
      await log.write('long', [{ ...bucket('long', 1, 1), keys }]);
      const [told] = (await read('long')).buckets;
      assert.ok(told !== undefined && told.keys.length > 50 && told.keys.length < 2000);
      assert.deepEqual(told.keys, keys.slice(0, told.keys.length));
    });

    test('what cannot be read is told of and skipped; the other buckets come all the same', async () => {
      await log.write('spoilt', [bucket('spoilt', 1, 5), bucket('spoilt', 2, 6)]);
      await under.spoil('spoilt', 'user', 3);
      assert.deepEqual(await read('spoilt'), {
        buckets: [bucket('spoilt', 1, 5), bucket('spoilt', 2, 6)],
        skipped: ['HOT_KEYS_INVALID'],
      });
    });
  });
}
