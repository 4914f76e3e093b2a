import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lsn } from '../../src/protocol/lsn.ts';
import type { LogRecord } from '../../src/protocol/log-record.ts';
import { decideSourceEpoch, isStartSettled, type LastWord, lastWord } from '../../src/relay/source-gap.ts';

const LIFE = { systemId: '7312', timeline: 1, slotIdentity: '9f3a01bc', postmasterStartedAtMs: 1000 };
const HIGHEST = { number: 7, ...LIFE };
const SAID = { highest: HIGHEST, settled: lsn(0), reached: lsn(100) };
const NOTHING_SAID = { highest: undefined, settled: lsn(0), reached: lsn(0) };
const CONFIRMED = lsn(100);
const SAFE = { known: 0, crashed: false, endedCleanly: false, asynchronousCommits: true };

test('a source epoch is numbered by the time, so that none is drawn twice though the log has forgotten it', () => {
  assert.deepEqual(decideSourceEpoch(NOTHING_SAID, LIFE, CONFIRMED, SAFE, 99.5), {
    epoch: { number: 99, ...LIFE },
    change: 'first',
  });
  assert.equal(decideSourceEpoch(SAID, { ...LIFE, timeline: 2 }, CONFIRMED, SAFE, 99).epoch.number, 99);
});

test('what a slot has confirmed is settled only where an earlier relay of the epoch has published so', () => {
  const decided = decideSourceEpoch(SAID, LIFE, CONFIRMED, SAFE, 5);
  assert.equal(isStartSettled(decided, lsn(0), lsn(100)), false, 'the relay before has not come so far');
  assert.equal(isStartSettled(decided, lsn(100), lsn(100)), true);
  const next = decideSourceEpoch(SAID, { ...LIFE, slotIdentity: 'b' }, CONFIRMED, SAFE, 5);
  assert.equal(isStartSettled(next, lsn(100), lsn(100)), false, 'another epoch');
});

test('a source epoch goes on, or a new one is drawn, as the total table says', () => {
  const restarted = { ...LIFE, postmasterStartedAtMs: 2000 };
  const table = [
    [LIFE, SAFE, 'none', 7],
    [{ ...LIFE, systemId: '1' }, SAFE, 'system', 8],
    [{ ...LIFE, timeline: 2 }, SAFE, 'timeline', 8],
    [{ ...LIFE, slotIdentity: 'b' }, SAFE, 'slot', 8],
    [restarted, { known: 0, crashed: false, endedCleanly: false, asynchronousCommits: true }, 'crash', 8],
    [restarted, { known: 0, crashed: false, endedCleanly: true, asynchronousCommits: true }, 'none', 7],
    [restarted, { known: 0, crashed: false, endedCleanly: false, asynchronousCommits: false }, 'none', 7],
    [restarted, { known: 0, crashed: false, endedCleanly: true, asynchronousCommits: false }, 'none', 7],
    [LIFE, { known: 0, crashed: true, endedCleanly: false, asynchronousCommits: true }, 'crash', 8],
    [restarted, { known: 0, crashed: true, endedCleanly: true, asynchronousCommits: true }, 'crash', 8],
    [LIFE, { known: 0, crashed: true, endedCleanly: false, asynchronousCommits: false }, 'none', 7],
    [
      { ...restarted, timeline: 2 },
      { known: 0, crashed: false, endedCleanly: true, asynchronousCommits: false },
      'timeline',
      8,
    ],
  ] as const;
  for (const [life, continuity, change, number] of table) {
    assert.deepEqual(decideSourceEpoch(SAID, life, CONFIRMED, continuity, 5), { epoch: { number, ...life }, change });
  }
});

test('a log that does not come up to what was confirmed, or to an epoch that is known, has lost or hidden its last word: a new epoch is drawn', () => {
  const draw = (said: LastWord, known: number): [string, number] => {
    const { change, epoch } = decideSourceEpoch(said, LIFE, CONFIRMED, { ...SAFE, known }, 5);
    return [change, epoch.number];
  };
  assert.deepEqual(draw(SAID, 7), ['none', 7]);
  assert.deepEqual(draw({ ...SAID, reached: lsn(99) }, 7), ['log', 8]);
  assert.deepEqual(draw(SAID, 9), ['log', 10]);
});

test('the last word is that of the highest epoch that any partition names', () => {
  const record = (number: number, to: number): LogRecord => ({
    bus: 'shop',
    sourceEpoch: { ...HIGHEST, number },
    from: lsn(0),
    to: lsn(to),
    sentThrough: lsn(0),
    settledPrimary: lsn(to - 1),
    asOfMs: 0,
    transactions: [],
  });
  const said = lastWord([record(7, 50), record(6, 90), record(7, 60)]);
  assert.deepEqual([said.highest?.number, said.reached, said.settled], [7, lsn(60), lsn(59)]);
  assert.equal(lastWord([]).highest, undefined);
});
