import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BufferLog, OutgoingEntry } from '../../src/buffer/buffer-log.ts';

/** Enough for every read below. */
const ALL = { entriesMax: 1000, bytesMax: 1 << 20 };

export interface LogLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/** An entry of `keys` keys. */
export function entryOf(writer: string, seq: number, keys = 1, data = `["k",${seq}]`): OutgoingEntry {
  return { writer, seq, shape: '', keys, data };
}

/** What every log of a buffer keeps. `open` gives an empty one of two partitions. */
export function bufferLogContract(name: string, open: (limits: LogLimits) => Promise<BufferLog>): void {
  const roomy = { entriesMax: 1000, bytesMax: 100_000 };
  const named = async (log: BufferLog, partition = 0): Promise<string[]> =>
    (await log.read(partition, ALL)).map(({ writer, seq }) => `${writer}${seq}`);

  test(`${name}: gives back what was appended, in that order, a partition for itself`, async () => {
    const log = await open(roomy);
    for (const [partition, entry] of [
      [0, entryOf('a', 1)],
      [0, entryOf('b', 1)],
      [1, entryOf('a', 1)],
      [0, entryOf('a', 2, 3, '["ü",1,"x",2,"y",3]')],
    ] as const)
      assert.deepEqual(await log.append(partition, entry, false), { kind: 'appended' });
    assert.deepEqual(await named(log), ['a1', 'b1', 'a2']);
    assert.deepEqual(await named(log, 1), ['a1']);
    const { place: _, ...third } = (await log.read(0, ALL))[2]!;
    assert.deepEqual(third, { writer: 'a', seq: 2, shape: '', keys: 3, data: '["ü",1,"x",2,"y",3]' });
    await log.close();
  });

  test(`${name}: removes what was read and nothing that came after`, async () => {
    const log = await open(roomy);
    await log.append(0, entryOf('a', 1), false);
    await log.append(0, entryOf('a', 2), false);
    const read = await log.read(0, ALL);
    await log.append(0, entryOf('a', 3), false);
    await log.remove(0, read);
    await log.remove(0, read);
    assert.deepEqual(await named(log), ['a3']);
    await log.close();
  });

  test(`${name}: reads no more than was asked for, and one entry at least`, async () => {
    const log = await open(roomy);
    for (let seq = 1; seq <= 5; seq++) await log.append(0, entryOf('a', seq), false);
    assert.equal((await log.read(0, { entriesMax: 2, bytesMax: 1 << 20 })).length, 2);
    assert.ok((await log.read(0, { entriesMax: 10, bytesMax: 1 })).length >= 1);
    await log.close();
  });

  test(`${name}: tells how much it holds, and nothing once all is removed`, async () => {
    const log = await open(roomy);
    assert.deepEqual(await log.depth(), { entries: 0, bytes: 0, oldestMs: 0 });
    await log.append(0, entryOf('a', 1, 3, '["ü",1]'), false);
    await log.append(1, entryOf('a', 1, 4), false);
    const { entries, bytes, oldestMs } = await log.depth();
    assert.deepEqual([entries, bytes], [7, 8 + 7]);
    assert.ok(oldestMs >= 0);
    for (const partition of [0, 1]) await log.remove(partition, await log.read(partition, ALL));
    assert.deepEqual(await log.depth(), { entries: 0, bytes: 0, oldestMs: 0 });
    await log.close();
  });

  test(`${name}: is full at its limit of entries, of bytes, and takes what must land all the same`, async () => {
    // Two partitions share the limits.
    for (const [limits, first, second] of [
      [{ entriesMax: 10, bytesMax: 100_000 }, entryOf('a', 1, 3), entryOf('a', 2, 3)],
      [{ entriesMax: 1000, bytesMax: 20 }, entryOf('a', 1), entryOf('a', 2)],
    ] as const) {
      const log = await open(limits);
      await log.append(0, first, false);
      assert.equal((await log.append(0, second, false)).kind, 'full');
      assert.equal((await log.append(1, second, false)).kind, 'appended', 'each partition has its share');
      assert.equal((await log.append(0, second, true)).kind, 'appended');
      await log.remove(0, await log.read(0, ALL));
      assert.equal((await log.append(0, first, false)).kind, 'appended');
      await log.close();
    }
  });

  test(`${name}: an entry larger than its share finds room in an empty partition`, async () => {
    const log = await open({ entriesMax: 2, bytesMax: 2 });
    assert.equal((await log.append(0, entryOf('a', 1, 50), false)).kind, 'appended');
    assert.equal((await log.append(0, entryOf('a', 2, 1), false)).kind, 'full');
    await log.close();
  });
}
