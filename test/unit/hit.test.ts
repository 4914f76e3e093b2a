import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { judgeHit, type ReadFacts } from '../../src/protocol/hit.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { parseSlot } from '../../src/protocol/value-slot.ts';

const facts = (more: Partial<ReadFacts>): ReadFacts => ({
  slot: 'aw1 v e1 7 id1 - - 3\n{}',
  ttlLeftMs: 1000,
  epoch: 'e1',
  familyMark: null,
  tagMarks: [null],
  ...more,
});
const mark = (offset: number): { offset: number; lsn: ReturnType<typeof lsn> } => ({ offset, lsn: lsn(1) });

const TABLE: readonly [string, ReadFacts, string][] = [
  ['a value with nothing against it', facts({}), 'hit'],
  ['the state is lost', facts({ epoch: null }), 'miss lost'],
  ['nothing there', facts({ slot: null }), 'miss absent'],
  ['another program’s value', facts({ slot: '{"a":1}' }), 'miss foreign'],
  ['a value of another epoch', facts({ epoch: 'e2' }), 'miss epoch'],
  ['a lease', facts({ slot: 'aw1 l e1 tok', tagMarks: [] }), 'held tok'],
  ['a lease that is waited for', facts({ slot: 'aw1 l e1 tok!', tagMarks: [] }), 'held tok'],
  ['a lease of a dead epoch', facts({ slot: 'aw1 l e0 tok', tagMarks: [] }), 'miss epoch'],
  ['a family mark at the stamp', facts({ familyMark: mark(7) }), 'hit'],
  ['a family mark above the stamp', facts({ familyMark: mark(8) }), 'miss mark'],
  ['a tag mark above the stamp', facts({ tagMarks: [mark(8)] }), 'miss mark'],
  ['fewer marks than the header names', facts({ tagMarks: [] }), 'miss foreign'],
  ['of another version of its shape', facts({ slot: 'aw1 v e1 7 id1 d9,v2 - 3\n{}' }), 'miss version'],
  ['with flags', facts({ slot: 'aw1 v e1 7 id1 d9 - 3\n{}' }), 'hit'],
  ['with flags of a later release', facts({ slot: 'aw1 v e1 7 id1 z,d9 - 3\n{}' }), 'hit'],
  ['past its time', facts({ ttlLeftMs: 100 }), 'stale'],
  ['past its time, and invalidated', facts({ ttlLeftMs: 100, familyMark: mark(8) }), 'miss mark'],
  ['past its time under a lease', facts({ ttlLeftMs: 100, slot: 'aw1 v e1 7 id1 - tok:99 3\n{}' }), 'stale leased'],
];

for (const [name, given, expected] of TABLE)
  test(`a read: ${name}`, () => {
    const verdict = judgeHit(given, 500);
    const said = [
      verdict.kind,
      ...(verdict.kind === 'miss' ? [verdict.why] : []),
      ...(verdict.kind === 'held' ? [verdict.token] : []),
      ...(verdict.kind === 'stale' && verdict.isLeased ? ['leased'] : []),
    ];
    assert.equal(said.join(' '), expected);
  });

test('a slot of any text is read without an error, and one of ours as it was written', () => {
  fc.assert(fc.property(fc.string(), (text) => void parseSlot(text)));
  fc.assert(fc.property(fc.string(), (text) => void parseSlot(`aw1 ${text}`)));
  assert.deepEqual(parseSlot('aw1 n e1 7 id1 - tok:12! 3,900\n'), {
    kind: 'value',
    isAbsent: true,
    epoch: 'e1',
    offset: 7,
    id: 'id1',
    lease: 'tok',
    leasedUntilMs: 12,
    loadMs: undefined,
    readAtMs: undefined,
    version: 0,
    tagMarks: [3, 900],
    payload: '',
  });
});
