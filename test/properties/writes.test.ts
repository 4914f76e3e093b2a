import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runLab } from '../support/write-lab-runs.ts';
import { PLANTS } from '../support/write-plants.ts';

// Two to four writers of one row, readers, and the bus, in interleavings that are drawn. SEED and RUNS repeat and lengthen it.
const seed = Number(process.env['SEED'] ?? 1);
const runs = Number(process.env['RUNS'] ?? 10_000);

test('overlapping writers leave nothing older than what was committed, in any interleaving', async (t) => {
  const report = await runLab({ seed, runs });
  t.diagnostic(
    Object.entries(report.seen)
      .map(([what, n]) => `${what} ${n}`)
      .toSorted()
      .join(', '),
  );
  assert.equal(report.fault, undefined, `SEED=${seed} repeats it, in run ${report.runs + 1}`);
  // Interleavings in which nothing happened would pass too.
  if (runs < 1000) return;
  for (const what of EXPECTED)
    assert.ok((report.seen[what] ?? 0) > 10, `"${what}" came ${report.seen[what] ?? 0} times`);
});

const EXPECTED = [
  ...['update', 'evict', 'leave'].map((then) => `${then} committed`),
  ...['stored', 'refused: lease', 'refused: epoch', 'refused: mark'].map((end) => `writer ${end}`),
  'reader stored',
  'reader refused',
  'a value is left',
  'a command without an answer',
  'WRITE_OUTCOME_UNKNOWN',
  'could not serialize',
  'thrown by the work',
];

for (const plant of Object.keys(PLANTS))
  test(`were it otherwise, the interleavings would show it: ${plant}`, async (t) => {
    const report = await runLab({ seed, runs, plant });
    t.diagnostic(`in run ${report.runs + 1}: ${report.fault}`);
    assert.match(report.fault ?? '', /is served|older value/);
  });
