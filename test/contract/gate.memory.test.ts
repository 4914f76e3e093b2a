import { MemoryGate } from '../../src/testing/memory-gate.ts';
import { gateStoreOf } from '../../src/testing/memory-stores.ts';
import { describeGate } from './gate-contract.ts';

describeGate('a gate in memory', async () => {
  let nowMs = Date.now();
  const gate = new MemoryGate(() => nowMs);
  return {
    gate: gateStoreOf(gate),
    pass: async (ms) => void (nowMs += ms),
    empty: async () => gate.clear(),
    close: async () => undefined,
  };
});
