import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decideSourceEpoch } from '../../src/relay/source-gap.ts';

const LIFE = { systemId: '7312', timeline: 1, slotIdentity: '9f3a01bc', postmasterStartedAtMs: 1000 };
const HIGHEST = { number: 7, ...LIFE };
const SAFE = { crashed: false, endedCleanly: false, asynchronousCommits: true };

test('an empty log begins with source epoch 1', () => {
  assert.deepEqual(decideSourceEpoch(undefined, LIFE, SAFE), { epoch: { number: 1, ...LIFE }, change: 'first' });
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
    assert.deepEqual(decideSourceEpoch(HIGHEST, life, continuity), { epoch: { number, ...life }, change });
  }
});
