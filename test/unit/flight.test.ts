import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flight } from '../../src/client/flight.ts';

function begun(offset: number | undefined, token: string | undefined = 'l1'): Flight {
  const flight = new Flight('user:1', undefined, 'answer');
  flight.token = token;
  flight.offset = offset;
  flight.begin();
  return flight;
}

test('a load that has begun is joined only where nothing that it carries was invalidated since its lease', () => {
  const seen = { token: 'l1', markedAt: 7 };
  assert.equal(begun(7).takes(seen, undefined, 'answer'), true);
  assert.equal(begun(6).takes(seen, undefined, 'answer'), false, 'the family was invalidated, which voids no lease');
  const labelled = { token: 'l1', markedAt: Number.POSITIVE_INFINITY };
  assert.equal(begun(7).takes(labelled, undefined, 'answer'), false, 'a tag that only the value names may have been');
  assert.equal(begun(7).takes({ token: 'l2', markedAt: -1 }, undefined, 'answer'), false, 'another lease stands');
  assert.equal(begun(7).takes(undefined, undefined, 'answer'), false, 'none stands');
});

test('a load whose lease was asked for without an answer is joined by nobody once it has begun', () => {
  assert.equal(begun(undefined, 'l1').takes({ token: 'l1', markedAt: -1 }, undefined, 'answer'), false);
});
