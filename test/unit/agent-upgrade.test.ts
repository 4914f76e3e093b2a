import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecordHandler } from '../../src/agent/from-log.ts';
import { type Clock, systemClock } from '../../src/runtime/clock.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { regionStoreOf } from '../../src/testing/memory-stores.ts';
import { appendTo, recordText, startAgentOn } from '../support/agent-in-process.ts';
import { eventually } from '../support/eventually.ts';

const CELLS = 4;
/** Time runs so many times as fast: what is waited for takes seconds. */
const SPEED = 5;
const clock: Clock = {
  nowMs: () => systemClock.nowMs() * SPEED,
  monotonicMs: () => systemClock.monotonicMs() * SPEED,
  sleep: (ms, signal) => systemClock.sleep(ms / SPEED, signal),
};

test('a newer agent works on every cell that an older one has given back, though the older one lives on', async () => {
  const region = new MemoryRegion({ cells: CELLS, nowMs: clock.nowMs });
  const log = new MemoryLog(CELLS);
  const cells = Array.from({ length: CELLS }, (_, cell) => cell);
  const connectStore = async () => regionStoreOf(region);
  /** One that knows version 2, to which it is the same as version 1. */
  const openLog = async (handler: RecordHandler) =>
    log.openReader((partition, records) =>
      handler(
        partition,
        records.map((record) => ({ ...record, value: record.value.replace('"v":2', '"v":1') })),
      ),
    );
  for (const partition of cells) appendTo(log, { partition, from: 0, to: 10 });
  const older = startAgentOn(log, { clock, connectStore });
  const newer = startAgentOn(log, { clock, connectStore, openLog });
  const applied = (offset: number) => cells.every((cell) => region.cell(cell).read()?.offset === offset);
  try {
    await eventually(
      'both have their share',
      () => older.seen.progress?.owned === 2 && newer.seen.progress?.owned === 2,
    );
    await eventually('all cells have begun', () => applied(0));
    log.append(
      cells.map((partition) => ({ partition, value: recordText({ from: 10, to: 20 }).replace('"v":1', '"v":2') })),
    );
    await eventually('the record is applied to every cell', () => applied(1));
    await eventually('all are held by the newer', () => newer.seen.progress?.owned === CELLS);
    assert.equal(older.seen.progress?.stopped, 2);
    assert.deepEqual(newer.seen.stopped, []);
  } finally {
    await Promise.all([older.stop(), newer.stop()]);
  }
});
