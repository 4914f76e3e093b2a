import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitOfEnd, WARMUP_MODES } from '../../src/cli/warmup/options.ts';

test('a warm-up that was asked to end before it had warmed the region says no success, but where it goes on until then', () => {
  const codes = WARMUP_MODES.map((mode) => [mode, exitOfEnd('stopped', mode), exitOfEnd('warm', mode)]);
  assert.deepEqual(codes, [
    ['eager', 1, 0],
    ['shadow', 0, 0],
    ['gradual', 1, 0],
  ]);
  const others = (['short', 'never', 'moved'] as const).map((end) => exitOfEnd(end, 'eager'));
  assert.deepEqual(others, [1, 42, 43]);
});
