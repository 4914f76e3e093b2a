import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HANDOVER_NOTICE_MS } from '../../src/agent/holdings.ts';
import type { RegionStore } from '../../src/agent/region-store.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { regionStoreOf } from '../../src/testing/memory-stores.ts';
import { appendTo, startAgentOn } from '../support/agent-in-process.ts';
import { USER } from '../support/bus-config.ts';
import { eventually } from '../support/eventually.ts';

/** One agent that holds one cell, in a region where another is said to live; the time that it gives to the others is the test's. */
async function oneAgent(more: { readonly store?: Partial<RegionStore> } & Partial<Parameters<typeof startAgentOn>[1]>) {
  const region = new MemoryRegion({ cells: 1, nowMs: Date.now });
  const log = new MemoryLog(1);
  const noticed = Promise.withResolvers<void>();
  let isLeaving = false;
  const { store, ...ports } = more;
  const agent = startAgentOn(
    log,
    {
      connectStore: async () => ({ ...regionStoreOf(region), dismiss: async () => 1, ...store }),
      clock: {
        ...systemClock,
        sleep: (ms, signal) => {
          if (ms !== HANDOVER_NOTICE_MS) return systemClock.sleep(ms, signal);
          isLeaving = true;
          return noticed.promise;
        },
      },
      ...ports,
    },
    { ...USER, whenChanged: 'refresh' },
  );
  appendTo(log, { from: 0, to: 10 });
  await eventually('the cell has begun', () => region.cell(0).read()?.offset === 0);
  return { agent, region, log, noticed: noticed.resolve, isLeaving: () => isLeaving };
}

test('an agent that is asked to end applies what comes until its cells are given back', async () => {
  const { agent, region, log, noticed, isLeaving } = await oneAgent({});
  const stopped = agent.stop();
  await eventually('the others are to notice', isLeaving);
  appendTo(log, { from: 10, to: 20 });
  await eventually('it is applied', () => region.cell(0).read()?.offset === 1);
  assert.notEqual(region.owners()[0], '');
  noticed();
  await stopped;
  assert.equal(region.owners()[0], '');
});

test('a loader that does not answer keeps no cell from being given back', async () => {
  const loading = Promise.withResolvers<'stored'>();
  let loads = 0;
  const owed = [{ key: 'user:1', family: 'user', change: '0 user' }];
  const { agent, region, noticed } = await oneAgent({
    store: { owedRefreshes: async () => ({ next: null, owed }) },
    refresher: {
      loads: () => true,
      refresh: () => {
        loads += 1;
        return loading.promise;
      },
    },
  });
  await eventually('it loads', () => loads > 0);
  const stopped = agent.stop();
  noticed();
  await eventually('the cell is free', () => region.owners()[0] === '');
  loading.resolve('stored');
  await stopped;
});
