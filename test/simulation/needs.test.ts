import assert from 'node:assert/strict';
import { test } from 'node:test';
import { KEYS, type SimKey } from './catalog.ts';
import { Needs } from './needs.ts';
import type { Effect, Version } from './postgres.ts';

const BRANCH = 1;
const [TAGGED, NAMED] = ['list:1', 'user:1511'].map((name) => KEYS.find(({ key }) => key === name)) as [SimKey, SimKey];

/** A row that goes from group 1 over 2 and 0 to 1. */
function history(row: number): [Version, Version, Version, Version] {
  const versions: Version[] = [];
  for (const [at, group] of [1, 2, 0, 1].entries())
    versions.push({ id: 10 + at, row, group, before: versions.at(-1) ?? null, commit: undefined, diedOn: Infinity });
  return versions as [Version, Version, Version, Version];
}

function effect(key: SimKey, version: Version): Effect {
  return { key, place: 0, version, group: version.before?.group ?? version.group };
}

test('a tag that was applied before its time makes old the values that carry it, and no others', () => {
  const needs = new Needs();
  const [first, second, third, last] = history(13);
  needs.reset(TAGGED, 0, first);
  needs.raise(effect(TAGGED, last), BRANCH);
  assert.equal(needs.top(TAGGED, 0, third.group, BRANCH), last);
  assert.equal(needs.top(TAGGED, 0, first.group, BRANCH), first);
  needs.raise(effect(TAGGED, second), BRANCH);
  assert.equal(needs.top(TAGGED, 0, first.group, BRANCH), second);
});

test('a key that is evicted by its name is made old whatever its value says', () => {
  const needs = new Needs();
  const [first, second, , last] = history(0);
  needs.raise(effect(NAMED, last), BRANCH);
  for (const { group } of [first, second]) assert.equal(needs.top(NAMED, 0, group, BRANCH), last);
});

test('what lies below a floor is needed by values of every group', () => {
  const needs = new Needs();
  const [first, second, third] = history(13);
  needs.reset(TAGGED, 0, first);
  needs.raiseWhole(effect(TAGGED, third), BRANCH);
  for (const { group } of [first, second, third]) assert.equal(needs.top(TAGGED, 0, group, BRANCH), third);
  third.diedOn = BRANCH;
  for (const { group } of [first, second, third]) assert.equal(needs.top(TAGGED, 0, group, BRANCH), second);
});
