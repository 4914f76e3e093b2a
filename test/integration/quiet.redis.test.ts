import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runQuietly } from '../support/quiet-run.ts';

test('two minutes of load, cut connections, a frozen Redis and replaced agents: no region is taken for cold', async (t) => {
  const seed = Date.now() % 1_000_000;
  const report = await runQuietly({ minutes: 2, seed });
  t.diagnostic(JSON.stringify(report));
  assert.equal(report.falseAlarms, 0, JSON.stringify(report));
  assert.ok(Object.values(report.disturbances).reduce((sum, times) => sum + times, 0) > 5);
});
