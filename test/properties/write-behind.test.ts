import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StoredEntry } from '../../src/buffer/buffer-log.ts';
import { addUp, encodeItems } from '../../src/buffer/entry.ts';
import { planFlush } from '../../src/buffer/flush-plan.ts';
import type { AppendFault } from '../../src/testing/memory-buffer-log.ts';
import { MemoryBuffer, type SinkFault } from '../support/memory-buffer.ts';
import { seeded } from '../support/seeded.ts';

const SEEDS = 60;
const STEPS = 80;
const APPEND_FAULTS: readonly AppendFault[] = ['lost-request', 'lost-answer', 'away', 'out-of-memory'];
const SINK_FAULTS: readonly SinkFault[] = ['rolled-back', 'lost-commit-answer', 'busy'];

for (const whenFull of ['block', 'shed', 'write-through'] as const) {
  test(`each call counts once, whatever fails and whoever flushes: ${whenFull}`, async () => {
    // Method: every call has a key of its own, so that a key's sum says how often it counts. Calls of two processes, faults of both servers, flushes
    // whose removal is forgotten, a server that forgets its tail, gives ids again and brings removed entries back, in a random order. An acknowledged
    // call must count once unless it was in a tail that was forgotten; a refused one not at all; any other at most once.
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = seeded(seed);
      const buffer = new MemoryBuffer({ partitions: 2, entriesMax: 40, whenFull });
      const counters = [buffer.counter('a'), buffer.counter('b')];
      const calls = new Map<string, string>();
      const forgotten = new Set<string>();
      const removed: { readonly partition: number; readonly entry: StoredEntry }[] = [];
      const remove = buffer.log.remove.bind(buffer.log);
      buffer.log.remove = async (partition, entries) => {
        if (random(4) === 0) return;
        removed.push(...entries.map((entry) => ({ partition, entry })));
        await remove(partition, entries);
      };
      for (let step = 0; step < STEPS; step++) {
        const dice = random(20);
        if (dice < 10) {
          const key = `k${step}`;
          calls.set(key, 'open');
          counters[random(2)]!.add({ id: key }).then(
            () => calls.set(key, 'acknowledged'),
            (error: unknown) => calls.set(key, (error as { code: string }).code),
          );
        } else if (dice < 12) buffer.log.faults.push(APPEND_FAULTS[random(4)]!);
        else if (dice < 13) buffer.sink.faults.push(SINK_FAULTS[random(3)]!);
        else if (dice < 17) await Promise.all([buffer.flush(), buffer.flush()].map((flush) => flush.catch(() => 0)));
        else if (dice < 18) {
          const before = await keysHeld(buffer);
          const back = removed.splice(-random(3)).toReversed();
          buffer.log.crash(random(3), random(2) === 0 ? back : []);
          const after = await keysHeld(buffer);
          for (const key of before) if (!after.has(key)) forgotten.add(key);
        }
        await buffer.clock.advance(random(60));
      }
      buffer.log.faults.length = 0;
      buffer.sink.faults.length = 0;
      for (let i = 0; i < 4; i++) {
        await buffer.clock.advance(15_000);
        await buffer.flush();
      }
      for (const [key, told] of calls) {
        const counted = Number(buffer.sink.rows.get(key) ?? 0);
        const what = `seed ${seed}: ${key} was ${told} and counts ${counted}`;
        if (told === 'acknowledged') assert.ok(counted === 1 || (counted === 0 && forgotten.has(key)), what);
        else if (told === 'BUFFER_FULL') assert.equal(counted, 0, what);
        else assert.ok(told === 'BUFFER_UNACKNOWLEDGED' && counted <= 1, what);
      }
      await buffer.close();
    }
  });
}

async function keysHeld({ log }: MemoryBuffer): Promise<Set<string>> {
  const entries = await Promise.all([0, 1].map((partition) => log.read(partition, { entriesMax: 1e6, bytesMax: 1e9 })));
  return new Set(entries.flat().flatMap(({ data }) => [...data.matchAll(/"(k\d+)"/g)].map(([, key]) => key!)));
}

test('a plan takes each batch of each writer once, however the log is cut, repeated and read again', () => {
  // Method: two writers' batches, some sent twice, interleaved; read in random overlapping stretches that only ever move forward.
  for (let seed = 1; seed <= 200; seed++) {
    const random = seeded(seed);
    const log: StoredEntry[] = [];
    const next = { a: 1, b: 1 };
    for (let i = 0; i < 30; i++) {
      const writer = random(2) === 0 ? 'a' : 'b';
      const seq = next[writer]++;
      const data = encodeItems(new Map([[`${writer}${seq}`, 1]]));
      for (let copy = 0; copy <= (random(4) === 0 ? 1 : 0); copy++)
        log.push({ writer, seq, shape: '', data, keys: 1, place: undefined });
    }
    const counts = new Map<string, number>();
    let flushed: ReturnType<typeof planFlush>['flushed'] = new Map();
    for (let from = 0; from < log.length;) {
      const to = Math.min(log.length, from + 1 + random(8));
      const plan = planFlush(log.slice(Math.max(0, from - random(10)), to), flushed, addUp, 1000);
      for (const [key, n] of plan.rows) counts.set(key, (counts.get(key) ?? 0) + Number(n));
      flushed = plan.flushed;
      from = to;
    }
    assert.equal(counts.size, 30);
    assert.deepEqual([...new Set(counts.values())], [1], `seed ${seed}`);
  }
});

test('a writer is forgotten a week after its last batch, and no sooner', () => {
  const entry = (writer: string, seq: number): StoredEntry => ({
    writer,
    seq,
    shape: '',
    data: '[]',
    keys: 0,
    place: undefined,
  });
  const week = 7 * 86_400;
  const first = planFlush([entry('a', 3)], new Map(), addUp, 1000);
  const within = planFlush([entry('b', 1)], first.flushed, addUp, 1000 + week);
  assert.deepEqual([...within.flushed.keys()], ['a', 'b']);
  const beyond = planFlush([entry('b', 2)], within.flushed, addUp, 1001 + week);
  assert.deepEqual([...beyond.flushed.keys()], ['b']);
});
