import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { lsn } from '../../src/protocol/lsn.ts';
import { AsOfTracker } from '../../src/relay/as-of.ts';
import { Batcher } from '../../src/relay/batch.ts';
import { FreshnessProbe } from '../../src/relay/freshness-probe.ts';
import { FakeClock, quiet } from '../support/fake-clock.ts';
import { ScriptedSource } from '../support/scripted-source.ts';

const START = lsn(100);
let source: ScriptedSource;
let batcher: Batcher;
let asOf: AsOfTracker;
let clock: FakeClock;
let stop: AbortController;
let done: Promise<undefined>;

beforeEach(async () => {
  source = new ScriptedSource();
  batcher = new Batcher(1, START);
  asOf = new AsOfTracker();
  clock = new FakeClock();
  stop = new AbortController();
  done = new FreshnessProbe({ source, batcher, asOf, clock }).run(stop.signal);
  await quiet();
});
afterEach(async () => {
  stop.abort();
  await done;
});

/** How many looks are taken while so much time goes by. */
async function looksIn(ms: number): Promise<number> {
  const before = source.looks;
  await clock.advance(ms);
  return source.looks - before;
}

test('an idle source is looked at once as the relay begins, and then once a second', async () => {
  assert.equal(source.looks, 1);
  assert.equal(await looksIn(999), 0);
  assert.equal(await looksIn(1), 1);
  source.clockMs += 1000;
  assert.equal(await looksIn(60_000), 60);
  assert.equal(asOf.at(START), source.clockMs, 'and is fresh');
  assert.equal(source.snapshots, 0);
});

test('while the stream has not come to where a look saw the log end, a look is taken each quarter of a second', async () => {
  source.flushedLsn = lsn(500);
  await clock.advance(1000);
  assert.equal(await looksIn(2500), 10);
  batcher.idleThrough(lsn(499));
  assert.equal(await looksIn(2500), 10, 'nearly there is behind');
  batcher.idleThrough(lsn(500));
  await clock.advance(500);
  assert.equal(await looksIn(10_000), 10, 'caught up, it is idle again');
});

test('what was decoded since the last look is followed by a look within a quarter of a second', async () => {
  await clock.advance(250);
  source.flushedLsn = lsn(300);
  batcher.idleThrough(lsn(300));
  source.clockMs += 1;
  assert.equal(await looksIn(250), 1);
  assert.equal(asOf.at(lsn(300)), source.clockMs);
  assert.equal(await looksIn(10_000), 10);
});

test('a stream that always brings something is looked at no more often than four times a second', async () => {
  let looks = 0;
  for (let i = 1; i <= 1000; i++) {
    source.flushedLsn = lsn(100 + i);
    batcher.idleThrough(lsn(100 + i));
    looks += await looksIn(10);
  }
  assert.equal(looks, 40);
});

test('the probe ends when it is told to, in the midst of its rest', async () => {
  stop.abort();
  await done;
  assert.equal(source.looks, 1);
});
