import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RedisIdentity } from '../../src/agent/region-store.ts';
import { BusError } from '../../src/protocol/errors.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { regionStoreOf } from '../../src/testing/memory-stores.ts';
import { startAgentOn } from '../support/agent-in-process.ts';
import { eventually } from '../support/eventually.ts';

test('a promotion is told of though the first connection after it breaks off before anything is asked of it', async () => {
  const region = new MemoryRegion({ cells: 1, nowMs: Date.now });
  const first: RedisIdentity = { runId: 'a', replicationId: 'r1', formerReplicationId: '' };
  const promoted: RedisIdentity = { runId: 'b', replicationId: 'r2', formerReplicationId: 'r1' };
  const away = new BusError('REDIS_UNREACHABLE', 'away');
  let [spells, isCut] = [0, false];
  const agent = startAgentOn(new MemoryLog(1), {
    connectStore: async () => {
      spells += 1;
      const spell = spells;
      const store = regionStoreOf(region);
      return {
        ...store,
        identities: async () => [spell === 1 ? first : promoted],
        enlist: async (token) => {
          if (spell === 2 || (spell === 1 && isCut)) throw away;
          return store.enlist(token);
        },
      };
    },
  });
  await eventually('connected', () => agent.seen.events.includes('connected'));
  isCut = true;
  await eventually('REPLAY', () => agent.seen.events.includes('REPLAY'));
  assert.equal(spells, 3);
  await agent.stop();
});
