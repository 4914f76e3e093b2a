import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lsn } from '../../src/protocol/lsn.ts';
import { decideSourceEpoch, isStartSettled } from '../../src/relay/source-gap.ts';

const LIFE = { systemId: '7312', timeline: 1, slotIdentity: '9f3a01bc', postmasterStartedAtMs: 1000 };
const HIGHEST = { number: 7, ...LIFE };
const SAFE = { crashed: false, endedCleanly: false, asynchronousCommits: true };

test('a source epoch is numbered by the time, so that none is drawn twice though the log has forgotten it', () => {
  assert.deepEqual(decideSourceEpoch(undefined, LIFE, SAFE, 99.5), { epoch: { number: 99, ...LIFE }, change: 'first' });
  assert.equal(decideSourceEpoch(HIGHEST, { ...LIFE, timeline: 2 }, SAFE, 99).epoch.number, 99);
});

test('what a slot has confirmed is settled only where an earlier relay of the epoch has published so', () => {
  const decided = decideSourceEpoch(HIGHEST, LIFE, SAFE, 5);
  assert.equal(isStartSettled(decided, lsn(0), lsn(100)), false, 'the relay before has not come so far');
  assert.equal(isStartSettled(decided, lsn(100), lsn(100)), true);
  const next = decideSourceEpoch(HIGHEST, { ...LIFE, slotIdentity: 'b' }, SAFE, 5);
  assert.equal(isStartSettled(next, lsn(100), lsn(100)), false, 'another epoch');
});

test('a source epoch goes on, or a new one is drawn, as the total table says', () => {
  const restarted = { ...LIFE, postmasterStartedAtMs: 2000 };
  const table = [
    [LIFE, SAFE, 'none', 7],
    [{ ...LIFE, systemId: '1' }, SAFE, 'system', 8],
    [{ ...LIFE, timeline: 2 }, SAFE, 'timeline', 8],
    [{ ...LIFE, slotIdentity: 'b' }, SAFE, 'slot', 8],
    [restarted, { crashed: false, endedCleanly: false, asynchronousCommits: true }, 'crash', 8],
    [restarted, { crashed: false, endedCleanly: true, asynchronousCommits: true }, 'none', 7],
    [restarted, { crashed: false, endedCleanly: false, asynchronousCommits: false }, 'none', 7],
    [restarted, { crashed: false, endedCleanly: true, asynchronousCommits: false }, 'none', 7],
    [LIFE, { crashed: true, endedCleanly: false, asynchronousCommits: true }, 'crash', 8],
    [restarted, { crashed: true, endedCleanly: true, asynchronousCommits: true }, 'crash', 8],
    [LIFE, { crashed: true, endedCleanly: false, asynchronousCommits: false }, 'none', 7],
    [{ ...restarted, timeline: 2 }, { crashed: false, endedCleanly: true, asynchronousCommits: false }, 'timeline', 8],
  ] as const;
  for (const [life, continuity, change, number] of table) {
    assert.deepEqual(decideSourceEpoch(HIGHEST, life, continuity, 5), { epoch: { number, ...life }, change });
  }
});
