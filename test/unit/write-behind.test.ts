import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { decodeItems } from '../../src/buffer/entry.ts';
import { BLOCK_MAX_MS } from '../../src/buffer/lane.ts';
import { WINDOW_KEYS_MAX } from '../../src/buffer/window.ts';
import type { BufferConfig } from '../../src/config/bus-config.ts';
import { quiet } from '../support/fake-clock.ts';
import { MemoryBuffers, stateOf } from '../support/memory-buffer.ts';

const ALL = { entriesMax: 1000, bytesMax: 1 << 20 };
const buffers = new MemoryBuffers();
const memoryBuffer = (more?: Partial<BufferConfig>) => buffers.open(more);
afterEach(() => buffers.close());

test('a thousand increments of one key in one window are one entry of one key', async () => {
  const buffer = memoryBuffer();
  const counter = buffer.counter();
  const calls = Array.from({ length: 1000 }, () => counter.add({ id: 7 }));
  void counter.add({ id: 8 }, -3);
  await buffer.clock.advance(50);
  await Promise.all(calls);
  const entries = await buffer.log.read(0, ALL);
  assert.deepEqual(
    entries.map(({ data }) => [...(decodeItems(data) ?? [])]),
    [
      [
        ['7', 1000],
        ['8', -3],
      ],
    ],
  );
});

test('a call is acknowledged when its entry stands in the log, and not before', async () => {
  const buffer = memoryBuffer();
  const call = stateOf(buffer.counter().add({ id: 1 }));
  await buffer.clock.advance(49);
  assert.deepEqual([call.is, (await buffer.log.depth()).entries], ['waiting', 0]);
  buffer.log.faults.push('lost-request', 'away');
  await buffer.clock.advance(1);
  assert.deepEqual([call.is, (await buffer.log.depth()).entries], ['waiting', 0]);
  await buffer.clock.advance(100);
  assert.deepEqual([call.is, (await buffer.log.depth()).entries], ['acknowledged', 1]);
});

test('the values of a key reach Postgres in the order of the calls, though windows are sent again', async () => {
  const buffer = memoryBuffer({ kind: 'buffer', columns: ['v'] });
  const rows = buffer.rowBuffer();
  for (let i = 1; i <= 20; i++) {
    // Every third window is sent again for longer than a window takes, so the next one would overtake it.
    const fault = i % 2 === 0 ? 'lost-answer' : 'lost-request';
    buffer.log.faults.push(...Array<typeof fault>(i % 3 === 0 ? 6 : 0).fill(fault));
    void rows.put({ id: 'a' }, { v: String(i) });
    await buffer.clock.advance(30);
  }
  await buffer.clock.advance(9000);
  const seen = (await buffer.log.read(0, ALL)).map(({ data }) => Number(decodeItems(data)?.get('a')));
  assert.deepEqual(
    seen,
    seen.toSorted((a, b) => a - b),
  );
  await buffer.flush();
  assert.deepEqual(buffer.sink.rows.get('a'), ['20']);
});

test('a call that is made as another is acknowledged is not left behind, however many steps later', async () => {
  for (let steps = 0; steps < 12; steps++) {
    const buffer = memoryBuffer();
    const counter = buffer.counter();
    const second = counter.add({ id: 1 }).then(async () => {
      for (let i = 0; i < steps; i++) await Promise.resolve();
      return counter.add({ id: 1 });
    });
    const state = stateOf(second);
    await buffer.clock.advance(200);
    assert.equal(state.is, 'acknowledged', `${steps} steps later`);
  }
});

test('an entry whose answer was lost is sent again, and counts once', async () => {
  const buffer = memoryBuffer();
  buffer.log.faults.push('lost-answer', 'lost-answer');
  const call = stateOf(buffer.counter().add({ id: 1 }, 5));
  await buffer.clock.advance(200);
  assert.equal(call.is, 'acknowledged');
  assert.equal((await buffer.log.read(0, ALL)).length, 3);
  await buffer.flush();
  assert.equal(buffer.sink.rows.get('1'), 5);
  assert.deepEqual(buffer.flushes[0]?.plan.repeated, 2);
});

test('a full buffer that blocks makes calls wait until there is room, and fails them when that takes too long', async () => {
  const buffer = memoryBuffer({ entriesMax: 1 });
  const counter = buffer.counter();
  const first = stateOf(counter.add({ id: 1 }));
  await buffer.clock.advance(50);
  const second = stateOf(counter.add({ id: 2 }));
  await buffer.clock.advance(1000);
  assert.deepEqual([first.is, second.is], ['acknowledged', 'waiting']);
  await buffer.flush();
  await buffer.clock.advance(300);
  assert.equal(second.is, 'acknowledged');
  const third = stateOf(counter.add({ id: 3 }));
  await buffer.clock.advance(BLOCK_MAX_MS + 500);
  assert.equal(third.is, 'BUFFER_FULL');
  await buffer.flush();
  assert.equal(buffer.sink.rows.has('3'), false, 'what was refused does not count');
});

test('a full buffer that sheds fails a call at once, with a code, and it does not count', async () => {
  const buffer = memoryBuffer({ entriesMax: 1, whenFull: 'shed' });
  const counter = buffer.counter();
  void counter.add({ id: 1 });
  await buffer.clock.advance(50);
  for (const fault of [undefined, 'away', 'out-of-memory'] as const) {
    if (fault !== undefined) buffer.log.faults.push(fault);
    const call = stateOf(counter.add({ id: 2 }));
    await buffer.clock.advance(50);
    assert.equal(call.is, 'BUFFER_FULL');
  }
  await buffer.flush();
  assert.deepEqual([...buffer.sink.rows], [['1', 1]]);
  assert.deepEqual(
    buffer.told.filter((one) => one.startsWith('refused')),
    Array(3).fill('refused 1 BUFFER_FULL'),
  );
});

test('an entry that may have landed is not shed: it is sent until it has', async () => {
  const buffer = memoryBuffer({ whenFull: 'shed' });
  buffer.log.faults.push('lost-request', 'away', 'away');
  const call = stateOf(buffer.counter().add({ id: 2 }));
  await buffer.clock.advance(500);
  assert.equal(call.is, 'acknowledged');
});

test('a full buffer that writes through counts each call once, whatever stands in the log and whatever COMMIT answers', async () => {
  const buffer = memoryBuffer({ entriesMax: 1, whenFull: 'write-through' });
  const counter = buffer.counter();
  const calls = [stateOf(counter.add({ id: 1 }))];
  await buffer.clock.advance(50);
  for (const fault of ['rolled-back', 'lost-commit-answer', 'busy'] as const) {
    buffer.sink.faults.push(fault);
    calls.push(stateOf(counter.add({ id: 1 })));
    await buffer.clock.advance(500);
  }
  assert.deepEqual(
    calls.map(({ is }) => is),
    Array(4).fill('acknowledged'),
  );
  assert.equal(buffer.sink.rows.get('1'), 3);
  await buffer.flush();
  assert.equal(buffer.sink.rows.get('1'), 4);
  assert.deepEqual(buffer.told, Array(3).fill('through 1'));
});

test('an entry that may have landed is never written through: it would count twice', async () => {
  const buffer = memoryBuffer({ whenFull: 'write-through' });
  buffer.log.faults.push('lost-answer', 'away', 'away');
  const call = stateOf(buffer.counter().add({ id: 1 }));
  await buffer.clock.advance(500);
  await buffer.flush();
  assert.deepEqual([call.is, buffer.sink.rows.get('1')], ['acknowledged', 1]);
});

test('a row that is written through waits for the older row of its process that stands in the log', async () => {
  const buffer = memoryBuffer({ kind: 'buffer', columns: ['v'], entriesMax: 1, whenFull: 'write-through' });
  const rows = buffer.rowBuffer();
  void rows.put({ id: 'a' }, { v: 'old' });
  await buffer.clock.advance(50);
  const call = stateOf(rows.put({ id: 'a' }, { v: 'new' }));
  buffer.log.faults.push('away', 'away', 'away', 'away');
  await buffer.clock.advance(1000);
  assert.deepEqual([call.is, buffer.sink.rows.size], ['waiting', 0]);
  await buffer.flush();
  await buffer.clock.advance(500);
  assert.deepEqual([call.is, buffer.sink.rows.get('a')], ['acknowledged', ['new']]);
});

test('a call without an answer ends in time, with the code that says that it may count', async () => {
  const buffer = memoryBuffer();
  buffer.log.faults.push(...Array<'lost-answer'>(200).fill('lost-answer'));
  const call = stateOf(buffer.counter().add({ id: 1 }));
  await buffer.clock.advance(BLOCK_MAX_MS + 500);
  assert.equal(call.is, 'BUFFER_UNACKNOWLEDGED');
  buffer.log.faults.length = 0;
  await buffer.clock.advance(500);
  await buffer.flush();
  assert.equal(buffer.sink.rows.get('1'), 1, 'it was sent on, and counts once');
});

test('drain sends what is gathered without waiting for the window, and refuses what comes after', async () => {
  const buffer = memoryBuffer({ windowMs: 5000, loss: { processMs: 5000, redisMs: 0, diskMs: 10_000 } });
  const opened = buffer.open();
  void opened.writer.put('1', 3, 0);
  const drained = opened.drain(new AbortController().signal);
  await quiet();
  assert.equal((await buffer.log.depth()).entries, 1);
  await drained;
  assert.equal(opened.isClosed(), true);
});

test('a drain that waits no longer tells what was not taken, and what may count', async () => {
  for (const [fault, code] of [
    ['away', 'BUFFER_FULL'],
    ['lost-request', 'BUFFER_UNACKNOWLEDGED'],
  ] as const) {
    const buffer = memoryBuffer();
    const opened = buffer.open();
    buffer.log.faults.push(...Array<typeof fault>(50).fill(fault));
    const call = stateOf(opened.writer.put('1', 3, 0));
    const late = new AbortController();
    const drained = opened.drain(late.signal);
    await buffer.clock.advance(200);
    late.abort();
    await drained;
    await quiet();
    assert.equal(call.is, code);
  }
});

test('a window with as many keys as it may have is sent before its time, and beyond it a call is refused', async () => {
  const buffer = memoryBuffer({ windowMs: 5000, loss: { processMs: 5000, redisMs: 0, diskMs: 10_000 } });
  const { writer } = buffer.open();
  const first = stateOf(writer.put('0', 1, 0));
  for (let i = 1; i < WINDOW_KEYS_MAX; i++) void writer.put(String(i), 1, 0);
  const over = stateOf(writer.put('over', 1, 0));
  const known = stateOf(writer.put('0', 1, 0));
  await buffer.clock.advance(1);
  assert.deepEqual([first.is, over.is, known.is], ['acknowledged', 'BUFFER_FULL', 'acknowledged']);
});

test('the alarm is raised when the oldest unflushed entry passes the loss that was named, once, and ends when it is flushed', async () => {
  const buffer = memoryBuffer({ loss: { processMs: 100, redisMs: 0, diskMs: 3000 } });
  const counter = buffer.counter();
  void counter.add({ id: 1 });
  await buffer.clock.advance(2900);
  assert.deepEqual(buffer.told, []);
  await buffer.clock.advance(4000);
  assert.deepEqual(buffer.told, ['unflushed raised']);
  await buffer.flush();
  await buffer.clock.advance(1000);
  assert.deepEqual(buffer.told, ['unflushed raised', 'unflushed over']);
  assert.deepEqual(buffer.depth, { entries: 0, bytes: 0, oldestMs: 0 });
});

test('the alarm is raised when a process holds calls for longer than the loss that was named', async () => {
  const buffer = memoryBuffer();
  buffer.log.faults.push(...Array<'away'>(5).fill('away'));
  void buffer.counter().add({ id: 1 });
  await buffer.clock.advance(2000);
  assert.deepEqual(buffer.told, ['unacknowledged raised', 'unacknowledged over']);
});

test('sums beyond the safe integers keep every digit', async () => {
  const buffer = memoryBuffer();
  const counter = buffer.counter();
  for (let i = 0; i < 3; i++) void counter.add({ id: 1 }, Number.MAX_SAFE_INTEGER);
  await buffer.clock.advance(50);
  await buffer.flush();
  assert.equal(buffer.sink.rows.get('1'), 3n * BigInt(Number.MAX_SAFE_INTEGER));
});

test('what cannot be written is refused before it is gathered, and names the column', async () => {
  const buffer = memoryBuffer({ kind: 'buffer', columns: ['v'] });
  const rows = buffer.rowBuffer();
  const refusal = (call: Promise<void>): Promise<string> =>
    call.then(
      () => '',
      (error: unknown) => `${(error as { code: string }).code} ${(error as Error).message}`,
    );
  assert.match(
    await refusal(rows.put({} as never, { v: '1' })),
    /^BUFFER_VALUE_INVALID .*"id" of the key is undefined/,
  );
  assert.match(await refusal(rows.put({ id: 'a\0' }, { v: '1' })), /NUL/);
  assert.match(await refusal(rows.put({ id: 'a' }, {} as never)), /"v" of the row is missing/);
  assert.match(await refusal(rows.put({ id: 'x'.repeat(2000) }, { v: '' })), /more than 1024 characters/);
  const counts = memoryBuffer();
  assert.match(await refusal(counts.counter().add({ id: 1 }, 0.5)), /a whole number is expected/);
});
