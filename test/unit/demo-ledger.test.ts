import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Latencies } from '../../src/cli/demo/latencies.ts';
import { Ledger } from '../../src/cli/demo/ledger.ts';
import { tableLines } from '../../src/cli/demo/live-table.ts';
import { keysOf, Shop } from '../../src/cli/demo/shop.ts';

test('a key that keeps its old value in one region is missed there, and nowhere else', () => {
  const ledger = new Ledger(['eu', 'us']);
  const change = ledger.begin(['user:1']);
  ledger.committed(['user:1'], 100);
  assert.equal(ledger.evicted('eu', 'user:1', 103), 3);
  assert.equal(ledger.valueFor('user:1'), change);
  ledger.filled('eu', 'user:1');
  assert.equal(ledger.isFree(['user:1']), false);
  assert.equal(ledger.waiting('eu'), 0);
  assert.equal(ledger.waiting('us'), 1);
  assert.equal(ledger.judge('eu', 'user:1', change), undefined);
  assert.equal(ledger.judge('eu', 'user:1', null), undefined);
  assert.match(ledger.judge('us', 'user:1', 0)?.why ?? '', /change 1 made it old/);
});

test('an eviction seen before COMMIT returned took no time, and one that nothing awaited is no eviction of a change', () => {
  const ledger = new Ledger(['eu']);
  assert.equal(ledger.evicted('eu', 'user:1', 50), undefined);
  ledger.filled('eu', 'user:1');
  ledger.begin(['user:1']);
  assert.equal(ledger.evicted('eu', 'user:1', 50), 0);
  ledger.committed(['user:1'], 51);
  assert.equal(ledger.waiting(), 0);
});

test('no change touches a key that is still being put back', () => {
  const ledger = new Ledger(['eu']);
  ledger.begin(['user:1']);
  ledger.evicted('eu', 'user:1', 1);
  assert.throws(() => ledger.begin(['user:1']));
  ledger.filled('eu', 'user:1');
  ledger.begin(['user:1']);
});

test('a move makes old the user, the list that is left, and the list that is joined', () => {
  assert.deepEqual(keysOf({ userId: 42, fromOrg: 7, toOrg: 9 }), ['user:42', 'org:7:members', 'org:9:members']);
  assert.deepEqual(keysOf({ userId: 42, fromOrg: 7, toOrg: 7 }), ['user:42', 'org:7:members']);
});

test('the shop proposes only changes whose keys are free, and remembers moves', () => {
  const shop = new Shop(() => 0);
  const change = shop.propose(() => true);
  assert.deepEqual(change, { userId: 1, fromOrg: 2, toOrg: 1 });
  if (change !== undefined) shop.apply(change);
  assert.deepEqual(
    shop.propose(() => true),
    { userId: 1, fromOrg: 1, toOrg: 1 },
  );
  assert.equal(
    shop.propose(() => false),
    undefined,
  );
});

test('percentiles are by nearest rank', () => {
  const latencies = new Latencies();
  assert.equal(latencies.summary(), null);
  for (let ms = 100; ms >= 1; ms--) latencies.add(ms);
  assert.deepEqual(latencies.summary(), { p50: 50, p99: 99, p999: 100, max: 100 });
});

test('the table lines up whatever it holds', () => {
  const row = { region: 'eu', evictions: 12345, waiting: 0, p50: 1.234, p99: null, max: 10, stalenessMs: 250.4 };
  const lines = tableLines([row, { ...row, region: 'ap-south' }]);
  assert.equal(new Set(lines.map((line) => line.length)).size, 1);
  assert.match(lines[1] ?? '', /^eu +12345 +0 +1\.23 +- +10\.00 +250$/);
});
