import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Distrust } from '../../src/agent/distrust.ts';

const GATE = '0123456789abcdef';

function met(...found: readonly (readonly [number, string | null | undefined])[]): Distrust {
  const distrust = new Distrust();
  distrust.met(new Map(found), GATE);
  return distrust;
}

test('what a stranger stores is distrusted until this agent has begun an epoch there; other cells are not', () => {
  const distrust = met([0, 'old']);
  assert.deepEqual([distrust.isDistrusted(0, 'old'), distrust.isDistrusted(1, 'old')], [true, false]);
  distrust.begun(0);
  assert.deepEqual([distrust.isDistrusted(0, 'old'), distrust.cells], [false, []]);
});

test('a cell that another agent has begun since is no more distrusted, by whoever it was', () => {
  const distrust = met([0, 'old'], [1, null], [2, 'old']);
  assert.equal(distrust.isDistrusted(0, 'new'), false);
  assert.equal(distrust.isDistrusted(1, 'new'), false);
  assert.equal(distrust.isDistrusted(2, 'old'), true);
  assert.deepEqual(distrust.cells, [2]);
});

test('one that another agent of the same region had begun before this one came is known by its name', () => {
  const other = met([0, 'old']);
  const name = other.name('fedcba');
  assert.equal(met([0, name]).isDistrusted(0, name), false);
  const later = new Distrust();
  later.met(new Map([[0, name]]), 'another gate’s epoch');
  assert.equal(later.isDistrusted(0, name), true, 'begun in a former life of that server');
});

test('a cell that could not be read when the stranger was met stays distrusted, and so does one that nobody has begun', () => {
  const distrust = met([0, undefined], [1, null]);
  assert.deepEqual([distrust.isDistrusted(0, 'x'), distrust.isDistrusted(1, null)], [true, true]);
});

test('without a gate that was seen, no name says whose an epoch is', () => {
  const distrust = new Distrust();
  distrust.met(new Map([[0, 'old']]), undefined);
  assert.deepEqual([distrust.name('t'), distrust.isDistrusted(0, 'old')], ['t', true]);
});
