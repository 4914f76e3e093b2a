import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hotKeysLoop } from '../../src/agent/hot-keys.ts';
import { encodeHotReads, type HotKey } from '../../src/protocol/hot-key.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { MemoryHotKeyLog } from '../../src/testing/memory-hot-key-log.ts';
import { FakeClock } from '../support/fake-clock.ts';

test('what is read is published also after the clock was set back, at no other rates', async () => {
  const time = new FakeClock();
  let setMs = 3_600_000;
  const clock: Clock = {
    nowMs: () => time.nowMs() + setMs,
    monotonicMs: () => time.monotonicMs(),
    sleep: (ms, signal) => time.sleep(ms, signal),
  };
  const log = new MemoryHotKeyLog();
  const reports: string[] = [];
  const report = (key: string): void => {
    const keys = [{ key, reads: 50, loadMs: 0, bytes: 0 }];
    reports.push(...encodeHotReads({ process: 'p', seconds: 5, families: new Map([['user', { reads: 50, keys }]]) }));
  };
  const stop = new AbortController();
  const running = hotKeysLoop(
    {
      ports: { region: 'eu', families: ['user'], keysMax: 1000, openLog: async () => log.open() },
      source: { take: async (count) => reports.splice(0, count) },
      clock,
      random: () => 0.5,
      observer: { hotReads: () => undefined, hotKeysPublished: () => undefined, hotKeysFault: assert.fail },
      isMine: () => true,
    },
    stop.signal,
  );
  report('user:1');
  await time.advance(10_000);
  setMs = 0;
  report('user:1');
  report('user:2');
  await time.advance(10_000);
  stop.abort();
  await running;
  const keys: HotKey[] = [];
  let atMs = 0;
  for await (const bucket of log.open().read('eu', assert.fail)) {
    keys.push(...bucket.keys);
    atMs = Math.max(atMs, bucket.atMs);
  }
  assert.deepEqual(keys.map(({ key }) => key).toSorted(), ['user:1', 'user:2']);
  assert.ok(
    keys.every(({ readsPerSecond }) => readsPerSecond > 1 && readsPerSecond < 20),
    JSON.stringify(keys),
  );
  assert.ok(atMs <= clock.nowMs(), 'it is told when they were published as the clock says then');
});
