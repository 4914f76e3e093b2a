import assert from 'node:assert/strict';
import { test } from 'node:test';
import { gateLines, readOrOpen } from '../../src/cli/commands/gate.ts';
import { WARMUP_DEFAULTS } from '../../src/config/warmup-schema.ts';
import { MemoryGate } from '../../src/testing/memory-gate.ts';
import { gateStoreOf } from '../../src/testing/memory-stores.ts';

const { ramp } = WARMUP_DEFAULTS;

test('a gate is opened by hand whatever is warm, and one that is not there is not', async () => {
  const memory = new MemoryGate(() => 1_700_000_000_000);
  const store = gateStoreOf(memory);
  assert.deepEqual([(await readOrOpen(store, true, ramp)).code, memory.read()], [1, null]);
  memory.markCold('E1', 'no gate');
  const seen = await readOrOpen(store, false, ramp);
  assert.deepEqual([seen.code, seen.gate.state, seen.gate.admit], [0, 'COLD', 0]);
  const opened = await readOrOpen(store, true, ramp);
  assert.deepEqual([opened.code, opened.gate.state, opened.gate.admit], [0, 'WARM', 1]);
  assert.deepEqual(gateLines('eu', opened.gate), [
    `eu is WARM since 2023-11-14T22:13:20.000Z: ${opened.gate.reason}`,
    '0% of the hot reads are warm; 100% of the traffic may come',
    'epoch E1',
  ]);
});

test('a gate that is another by the time it is opened stays shut', async () => {
  const memory = new MemoryGate(() => 1);
  memory.markCold('E1', 'no gate');
  const store = gateStoreOf(memory);
  const moving = {
    read: () => store.read(),
    open: (epoch: string) => {
      memory.markCold('E2', 'emptied', 'E1');
      return store.open(epoch);
    },
  };
  const { code, gate } = await readOrOpen(moving, true, ramp);
  assert.deepEqual([code, gate.epoch, gate.state], [43, 'E2', 'COLD']);
});
