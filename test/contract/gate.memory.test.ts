import { MemoryGate } from '../../src/testing/memory-gate.ts';
import { gateStoreOf } from '../../src/testing/memory-stores.ts';
import { describeGate } from './gate-contract.ts';

describeGate('a gate in memory', async () => {
  const gate = new MemoryGate(() => Date.now());
  return { gate: gateStoreOf(gate), empty: async () => gate.clear(), close: async () => undefined };
});
