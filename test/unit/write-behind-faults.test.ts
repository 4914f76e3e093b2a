import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { encodeItems } from '../../src/buffer/entry.ts';
import { planFlush, WRITERS_KEPT_MAX } from '../../src/buffer/flush-plan.ts';
import { Flusher } from '../../src/buffer/flusher.ts';
import { keyTextOf, ROW_CHARACTERS_MAX, rowOf } from '../../src/buffer/key-text.ts';
import { BLOCK_MAX_MS } from '../../src/buffer/lane.ts';
import { shapeText } from '../../src/buffer/shape.ts';
import { WINDOW_KEYS_MAX } from '../../src/buffer/window.ts';
import type { BufferConfig } from '../../src/config/bus-config.ts';
import { quiet } from '../support/fake-clock.ts';
import { MemoryBuffers, stateOf } from '../support/memory-buffer.ts';

const buffers = new MemoryBuffers();
const memoryBuffer = (more?: Partial<BufferConfig>) => buffers.open(more);
afterEach(() => buffers.close());

const never = new AbortController().signal;

test('calls that are told that nobody knows are told and counted once, however long their entry is sent on', async () => {
  const buffer = memoryBuffer();
  buffer.log.faults.push(...Array<'lost-request'>(500).fill('lost-request'));
  const call = stateOf(buffer.counter().add({ id: 1 }));
  await buffer.clock.advance(3 * BLOCK_MAX_MS);
  assert.equal(call.is, 'BUFFER_UNACKNOWLEDGED');
  assert.deepEqual(
    buffer.told.filter((one) => one.startsWith('refused')),
    ['refused 1 BUFFER_UNACKNOWLEDGED'],
  );
});

test('calls behind an entry that nobody knows of are answered in time, and what was refused does not count', async () => {
  const expected = { block: 'BUFFER_FULL', shed: 'BUFFER_FULL', 'write-through': 'acknowledged' } as const;
  for (const whenFull of ['block', 'shed', 'write-through'] as const) {
    const buffer = memoryBuffer({ whenFull });
    const counter = buffer.counter();
    // Redis dies with the first window on its way: from then on there is nothing that an entry could land in.
    buffer.log.faults.push('lost-request', ...Array<'away'>(400).fill('away'));
    void counter.add({ id: 1 });
    await buffer.clock.advance(60);
    const behind = stateOf(counter.add({ id: 2 }));
    await buffer.clock.advance(whenFull === 'block' ? BLOCK_MAX_MS + 500 : 1000);
    assert.equal(behind.is, expected[whenFull], whenFull);
    buffer.log.faults.length = 0;
    await buffer.clock.advance(500);
    await buffer.flush();
    const rows = new Map([['1', 1], ...(whenFull === 'write-through' ? [['2', 1] as const] : [])]);
    assert.deepEqual(new Map(buffer.sink.rows), rows, whenFull);
  }
});

test('rows behind an entry that nobody knows of are never written through past it', async () => {
  const buffer = memoryBuffer({ kind: 'buffer', columns: ['v'], whenFull: 'write-through' });
  const rows = buffer.rowBuffer();
  buffer.log.faults.push('lost-answer', ...Array<'away'>(10).fill('away'));
  void rows.put({ id: 'a' }, { v: 'old' });
  await buffer.clock.advance(60);
  const behind = stateOf(rows.put({ id: 'a' }, { v: 'new' }));
  await buffer.clock.advance(5000);
  await buffer.flush();
  assert.deepEqual([behind.is, buffer.sink.rows.get('a')], ['acknowledged', ['new']]);
});

test('a call that is left alone ends no process, whatever comes of it', async () => {
  const unheard: unknown[] = [];
  const hear = (error: unknown): void => void unheard.push(error);
  process.on('unhandledRejection', hear);
  try {
    const buffer = memoryBuffer({ windowMs: 5000, loss: { processMs: 5000, redisMs: 0, diskMs: 10_000 } });
    const counter = buffer.counter();
    for (let i = 0; i <= WINDOW_KEYS_MAX; i++) void counter.add({ id: i });
    void counter.add({ id: 1 }, 0.5);
    await buffer.close();
    void counter.add({ id: 1 });
    // Node tells of it after the microtasks of the step.
    await new Promise((told) => setImmediate(told));
    assert.deepEqual(unheard, []);
  } finally {
    process.off('unhandledRejection', hear);
  }
});

test('an acknowledgement of one partition does not end the alarm of another that waits', async () => {
  const buffer = memoryBuffer({ partitions: 2 });
  const { writer } = buffer.open();
  const keyOf = (partition: number): string => {
    for (let i = 0; ; i++) if (writer.partitionOf(String(i)) === partition) return String(i);
  };
  const append = buffer.log.append.bind(buffer.log);
  let isAway = true;
  buffer.log.append = async (partition, entry, isForced) =>
    partition === 0 && isAway ? { kind: 'away', error: new Error('away') } : append(partition, entry, isForced);
  void writer.put(keyOf(0), 1, 0);
  for (let i = 0; i < 20; i++) {
    void writer.put(keyOf(1), 1, 0);
    await buffer.clock.advance(100);
  }
  const told = (): string[] => buffer.told.filter((one) => one.startsWith('unacknowledged'));
  assert.deepEqual(told(), ['unacknowledged raised']);
  isAway = false;
  await buffer.clock.advance(1000);
  assert.deepEqual(told(), ['unacknowledged raised', 'unacknowledged over']);
});

test('the alarm of calls ends when they were answered, though no call comes after them', async () => {
  const buffer = memoryBuffer();
  buffer.log.faults.push(...Array<'away'>(100).fill('away'));
  void buffer.counter().add({ id: 1 });
  await buffer.clock.advance(BLOCK_MAX_MS + 500);
  assert.deepEqual(
    buffer.told.filter((one) => one.startsWith('unacknowledged')),
    ['unacknowledged raised', 'unacknowledged over'],
  );
});

test('a partition that is filled as fast as it is flushed keeps no other waiting', async () => {
  const buffer = memoryBuffer({ partitions: 2 });
  const shape = shapeText(buffer.config);
  let seq = 0;
  // As much as one transaction takes.
  const data = `["a",1]${' '.repeat(9 << 20)}`;
  const fill = async (): Promise<void> =>
    void (await buffer.log.append(0, { writer: 'busy', seq: ++seq, shape, keys: 1, data }, true));
  await fill();
  await buffer.log.append(1, { writer: 'w', seq: 1, shape, keys: 1, data: '["b",1]' }, true);
  const write = buffer.sink.write.bind(buffer.sink);
  let batches = 0;
  buffer.sink.write = async (partition, plan) => {
    const answer = await write(partition, plan);
    if (partition === 0 && ++batches < 10) await fill();
    else if (partition === 1) assert.ok(batches <= 1, `${batches} batches of the other came first`);
    return answer;
  };
  await buffer.flush();
  assert.equal(buffer.sink.rows.get('b'), 1);
});

test('a drain waits for a database that hangs no longer than it was told to', async () => {
  const buffer = memoryBuffer({ entriesMax: 1, whenFull: 'write-through' });
  const opened = buffer.open('w0', true, buffer.log);
  void opened.writer.put('1', 1, 0);
  await buffer.clock.advance(50);
  buffer.sink.write = () => new Promise(() => undefined);
  const call = stateOf(opened.writer.put('2', 1, 0));
  await buffer.clock.advance(2000);
  const late = new AbortController();
  const drained = stateOf(opened.drain(late.signal));
  await buffer.clock.advance(100);
  assert.equal(drained.is, 'waiting');
  late.abort();
  await buffer.clock.advance(100);
  await quiet();
  assert.deepEqual([call.is, drained.is], ['BUFFER_UNACKNOWLEDGED', 'acknowledged']);
});

test('entries of another file are written by the columns that they were acknowledged with, each in its turn', async () => {
  const buffer = memoryBuffer({ kind: 'buffer', columns: ['a', 'b'] });
  const old = shapeText({ kind: 'buffer', key: ['id'], columns: ['b'] });
  const now = shapeText(buffer.config);
  const entry = (seq: number, shape: string, value: readonly string[]) => ({
    writer: 'w',
    seq,
    shape,
    keys: 1,
    data: encodeItems([['k', value]]),
  });
  for (const one of [entry(1, now, ['1', '2']), entry(2, old, ['3']), entry(3, now, ['4', '5'])])
    await buffer.log.append(0, one, true);
  await buffer.flush();
  assert.deepEqual(
    buffer.flushes
      .map(({ plan }) => plan as ReturnType<typeof planFlush>)
      .map(({ shape, rows }) => [shape?.columns, ...rows.values()]),
    [
      [undefined, ['1', '2']],
      [['b'], ['3']],
      [undefined, ['4', '5']],
    ],
  );
});

test('an entry of the other kind, and one that says nothing of itself, are set aside', async () => {
  const buffer = memoryBuffer();
  const data = encodeItems([['k', 1]]);
  const rowShape = shapeText({ kind: 'buffer', key: ['id'], columns: ['a'] });
  for (const [i, shape] of [rowShape, '', '[]'].entries())
    await buffer.log.append(0, { writer: 'w', seq: i + 1, shape, keys: 1, data }, true);
  await buffer.flush();
  assert.equal(buffer.sink.rows.size, 0);
  assert.deepEqual(
    buffer.flushes.map(({ refused }) => refused),
    [1, 1, 1],
  );
  assert.equal((await buffer.log.depth()).entries, 0);
});

test('of more writers than a row can hold the newest are kept', () => {
  const many = new Map(Array.from({ length: WRITERS_KEPT_MAX + 5 }, (_, i) => [`w${i}`, { seq: 1, atSeconds: i }]));
  const { flushed } = planFlush([], many, (a) => a, WRITERS_KEPT_MAX);
  assert.deepEqual([flushed.size, flushed.has('w4'), flushed.has('w5')], [WRITERS_KEPT_MAX, false, true]);
});

test('a key that would count for another row is refused, and so is a value that has no text', () => {
  const coded = (make: () => unknown, words: RegExp): void =>
    assert.throws(make, (error: unknown) => {
      assert.equal((error as { code?: string }).code, 'BUFFER_VALUE_INVALID');
      assert.match((error as Error).message, words);
      return true;
    });
  for (const id of [2 ** 53, -1e300, Number.NaN, Number.POSITIVE_INFINITY])
    coded(() => keyTextOf('b', ['id'], { id }), /"id" of the key is/);
  assert.deepEqual([keyTextOf('b', ['id'], { id: -0 }), keyTextOf('b', ['id'], { id: 0.5 })], ['0', '0.5']);
  const cycle: { self?: unknown } = {};
  cycle.self = cycle;
  for (const v of [
    Number.NaN,
    new Date('none'),
    new Date(8.64e15),
    cycle,
    { n: 1n },
    () => 1,
    { toJSON: () => undefined },
  ])
    coded(() => rowOf('b', ['v'], { v }), /"v" of the row/);
  coded(() => rowOf('b', ['v'], { v: 'x'.repeat(ROW_CHARACTERS_MAX + 1) }), /more than 1048576 characters/);
  assert.deepEqual(rowOf('b', ['v', 'w'], { v: new Uint8Array([0, 255]), w: { a: [1] } }), [
    String.raw`\x00ff`,
    '{"a":[1]}',
  ]);
});

test('a flusher goes on after a partition that fails', async () => {
  const buffer = memoryBuffer({ partitions: 2 });
  const shape = shapeText(buffer.config);
  for (const partition of [0, 1])
    await buffer.log.append(partition, { writer: 'w', seq: 1, shape, keys: 1, data: `["${partition}",1]` }, true);
  const flusher: Flusher = buffer.flusher();
  buffer.sink.faults.push('rolled-back');
  await assert.rejects(flusher.flush(never));
  assert.deepEqual([...buffer.sink.rows.keys()], ['1']);
});

test('a batch that is more than the database does in its time is written in smaller ones', async () => {
  const buffer = memoryBuffer();
  const shape = shapeText(buffer.config);
  for (let seq = 1; seq <= 100; seq++)
    await buffer.log.append(0, { writer: 'w', seq, shape, keys: 1, data: `["${seq}",1]` }, true);
  const write = buffer.sink.write.bind(buffer.sink);
  const sizes: number[] = [];
  // Each try ends as by a statement_timeout, unless it is of three entries at most.
  buffer.sink.write = (partition, plan) =>
    write(partition, (flushed, nowSeconds) => {
      const made = plan(flushed, nowSeconds);
      sizes.push(made?.fresh ?? 0);
      if ((made?.fresh ?? 0) > 3) throw new Error('canceling statement due to statement timeout');
      return made;
    });
  const flusher = buffer.flusher();
  const stop = new AbortController();
  const running = flusher.run(stop.signal);
  await buffer.clock.advance(600_000);
  stop.abort();
  await running;
  assert.equal(buffer.sink.rows.size, 100, `tried: ${sizes.join(' ')}`);
  assert.ok(sizes.filter((size) => size > 3).length < sizes.length / 2, 'what fits is remembered');
});
