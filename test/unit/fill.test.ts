import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Evidence, isSettledOnPrimary, judgeFill, type LeaseReading } from '../../src/protocol/fill.ts';
import { lsn } from '../../src/protocol/lsn.ts';

const reading = (more: Partial<Record<'floor' | 'fenced' | 'dropped' | 'primary' | 'replica' | 'timeline', number>>) =>
  ({
    epoch: 'e',
    offset: 7,
    timeline: 1,
    floor: lsn(more.floor ?? 0),
    fenced: lsn(more.fenced ?? 0),
    droppedLsn: lsn(more.dropped ?? 0),
    settledPrimary: { timeline: more.timeline ?? 1, lsn: lsn(more.primary ?? 0) },
    settledReplica: { timeline: more.timeline ?? 1, lsn: lsn(more.replica ?? 0) },
  }) satisfies LeaseReading;
const PRIMARY: Evidence = { kind: 'primary' };
const replica = (replayed: number, timeline = 1): Evidence => ({
  kind: 'replica',
  timeline,
  replayedLsn: lsn(replayed),
});

// The total table: what was read with the lease, where the load read, and the verdict.
const TABLE: readonly [string, LeaseReading, Evidence, string][] = [
  ['nothing is known of the source of the load', reading({ primary: 9 }), { kind: 'none' }, 'unproven'],
  ['nothing is settled yet, and nothing fenced', reading({}), PRIMARY, 'unsettled'],
  ['settled beyond the fence', reading({ fenced: 8, primary: 9 }), PRIMARY, '9'],
  [
    'settled exactly at the fence: the commit record begins there',
    reading({ fenced: 9, primary: 9 }),
    PRIMARY,
    'unsettled',
  ],
  ['settled beyond the fence, below the floor', reading({ fenced: 3, floor: 9, primary: 9 }), PRIMARY, 'unsettled'],
  ['settled on another timeline', reading({ primary: 9, timeline: 2 }), PRIMARY, 'unsettled'],
  ['the load saw another timeline', reading({ primary: 9 }), { kind: 'primary', timeline: 2 }, 'timeline'],
  ['the load saw this timeline', reading({ primary: 9 }), { kind: 'primary', timeline: 1 }, '9'],
  ['what was dropped is no matter on the primary', reading({ dropped: 20, primary: 9 }), PRIMARY, '9'],
  ['a replica beyond the fence', reading({ fenced: 8 }), replica(9), '9'],
  ['a replica at the fence', reading({ fenced: 9 }), replica(9), 'replica behind'],
  ['a replica at the floor', reading({ floor: 9 }), replica(9), 'replica behind'],
  ['a replica at what was dropped', reading({ dropped: 9 }), replica(9), 'replica behind'],
  ['a replica that came back below what it had shown', reading({ replica: 12 }), replica(11), 'replica behind'],
  ['a replica at what it had shown', reading({ replica: 12 }), replica(12), '12'],
  ['a replica of another timeline', reading({}), replica(9, 2), 'timeline'],
  [
    'the primary’s settled mark is no proof for a replica',
    reading({ fenced: 8, primary: 20 }),
    replica(5),
    'replica behind',
  ],
];

for (const [name, facts, evidence, expected] of TABLE)
  test(`a fill: ${name}`, () => {
    const verdict = judgeFill(facts, evidence);
    assert.equal(verdict.kind === 'store' ? String(verdict.bound) : verdict.why, expected);
  });

test('the holder of a lease waits until the reading is settled, by the same comparison', () => {
  assert.equal(isSettledOnPrimary(reading({ fenced: 9, primary: 9 })), false);
  assert.equal(isSettledOnPrimary(reading({ fenced: 9, primary: 10 })), true);
});
