import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Holdings } from '../../src/agent/holdings.ts';
import type { RegionStore } from '../../src/agent/region-store.ts';
import { type ReplicaState, watchReplicas } from '../../src/agent/replica-watch.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import type { Clock } from '../../src/runtime/clock.ts';

/** Watches with a clock that does not wait, until it has slept so often between looks; returns the pauses. */
async function watch(read: () => Promise<ReplicaState>, looks: number, isLate: boolean): Promise<number[]> {
  const stop = new AbortController();
  const pauses: number[] = [];
  const clock: Clock = {
    nowMs: () => 0,
    monotonicMs: () => 0,
    sleep: async (ms, signal) => {
      // The limit of an answer, not a pause between looks.
      if (ms === 2000 && !isLate) return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
      if (ms === 2000) return undefined;
      pauses.push(ms);
      if (pauses.length === looks) stop.abort();
    },
  };
  const cell = { cell: 0, isBehindReplicas: true, position: { sourceEpoch: { timeline: 1 } } };
  const parts = {
    replicas: [{ read, close: () => Promise.resolve() }],
    clock,
    store: { settleReplica: () => Promise.resolve() } as unknown as RegionStore,
    holdings: { cells: [cell] } as unknown as Holdings,
    token: 'a',
    onSettled: () => undefined,
  };
  await watchReplicas(parts, stop.signal);
  return pauses;
}

test('replicas that settle nothing are asked ever more seldom, and often again once they do', async () => {
  let asked = 0;
  const states = (): Promise<ReplicaState> =>
    (asked += 1) === 10
      ? Promise.resolve({ replayLsn: lsn(5), isInRecovery: true, timeline: 1 })
      : Promise.reject(new Error('away'));
  assert.deepEqual(await watch(states, 11, false), [20, 40, 80, 160, 320, 640, 1000, 1000, 1000, 10, 20]);
});

test('a replica that hangs is asked once, holds up nobody, and does not keep the watch from ending', async () => {
  let asked = 0;
  const pauses = await watch(
    () => {
      asked += 1;
      return new Promise(() => undefined);
    },
    5,
    true,
  );
  assert.equal(asked, 1);
  assert.deepEqual(pauses, [20, 40, 80, 160, 320]);
});
