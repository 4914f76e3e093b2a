import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isDueEarly } from '../../src/protocol/early-refresh.ts';
import { parseFlags, printFlags } from '../../src/protocol/value-flags.ts';

const left = fc.integer({ min: -10_000, max: 10_000_000 });
const load = fc.integer({ min: 1, max: 100_000 });
const beta = fc.double({ min: 0.001, max: 10, noNaN: true });
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test('a value past its time is always due, and one without a measured load, or of a family that refreshes none early, never', () => {
  fc.assert(
    fc.property(left, load, beta, chance, (leftMs, loadMs, factor, draw) => {
      if (leftMs <= 0) assert.ok(isDueEarly({ leftMs, loadMs, beta: factor }, draw));
      assert.ok(!isDueEarly({ leftMs, loadMs: undefined, beta: factor }, draw));
      assert.ok(!isDueEarly({ leftMs, loadMs, beta: 0 }, draw));
    }),
  );
});

test('whoever draws it with some time left would with less, with a dearer load, and with a higher beta', () => {
  fc.assert(
    fc.property(left, load, beta, chance, fc.nat(100), (leftMs, loadMs, factor, draw, more) => {
      if (!isDueEarly({ leftMs, loadMs, beta: factor }, draw)) return;
      assert.ok(isDueEarly({ leftMs: leftMs - more, loadMs, beta: factor }, draw));
      assert.ok(leftMs > 0 ? isDueEarly({ leftMs, loadMs: loadMs + more, beta: factor }, draw) : true);
      assert.ok(leftMs > 0 ? isDueEarly({ leftMs, loadMs, beta: factor + more }, draw) : true);
    }),
  );
});

test('a reader draws it with the chance of the paper: e to the power of minus what is left, in loads times beta', () => {
  const draws = 100_000;
  for (const [leftMs, loadMs, factor] of [
    [100, 100, 1],
    [50, 100, 1],
    [300, 100, 2],
    [1000, 100, 1],
  ] as const) {
    let due = 0;
    for (let i = 0; i < draws; i++) if (isDueEarly({ leftMs, loadMs, beta: factor }, i / draws)) due += 1;
    assert.ok(Math.abs(due / draws - Math.exp(-leftMs / (loadMs * factor))) < 2 / draws);
  }
});

test('the flags of a value are read as they were written, whatever stands beside them', () => {
  const flags = fc.record({
    loadMs: fc.option(fc.nat(), { nil: undefined }),
    readAtMs: fc.option(fc.nat(), { nil: undefined }),
    version: fc.nat(),
  });
  fc.assert(
    fc.property(flags, fc.constantFrom('', 'x', 'q7', 'd', 'v-1', 'dx'), (given, other) => {
      const text = printFlags(given);
      assert.match(text, /^\S+$/);
      // Whole seconds will do, and are shorter.
      const { readAtMs } = given;
      const read = { ...given, readAtMs: readAtMs === undefined ? undefined : readAtMs - (readAtMs % 1000) };
      assert.deepEqual(parseFlags(text), read);
      if (text !== '-') assert.deepEqual(parseFlags(`${other},${text},${other}`), read);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => void parseFlags(text)));
});
