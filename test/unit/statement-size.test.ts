import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StatementSize } from '../../src/client/statement-size.ts';

test('the first statement of a family has few keys, and the next as many as take about 50 ms, a thousand at most', () => {
  const size = new StatementSize();
  assert.equal(size.keys, 16);
  for (let i = 0; i < 20; i += 1) size.took(size.keys, size.keys * 0.2, 0);
  assert.equal(size.keys, 250);
  for (let i = 0; i < 20; i += 1) size.took(size.keys, size.keys * 0.001, 0);
  assert.equal(size.keys, 1000);
});

test('a far database is asked for many keys, though a list of two takes it long', () => {
  const size = new StatementSize();
  for (let i = 0; i < 30; i += 1) size.took(size.keys, 30 + size.keys * 0.01, 0);
  assert.ok(size.keys > 300, String(size.keys));
  for (let i = 0; i < 30; i += 1) size.took(2, 30, 0);
  assert.ok(size.keys > 300, String(size.keys));
});

test('a family whose keys are dear is loaded key by key, and tried again after a minute', () => {
  const size = new StatementSize();
  for (let i = 0; i < 9; i += 1) size.took(2, 100, 0);
  assert.equal(size.isDear(0), false, 'of two keys it may be the way');
  size.took(16, 16 * 20, 1000);
  size.took(16, 16 * 20, 1000);
  assert.equal(size.isDear(1000), false, 'the first ones may be slow');
  size.took(16, 16 * 20, 1000);
  assert.equal(size.isDear(60_999), true);
  assert.equal(size.isDear(61_000), false);
  assert.equal(size.keys, 16);
});
