import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { type Plant, PLANTS } from './plants.ts';
import type { Outcome } from './run.ts';

/** Steps within which each planted fault must be found. */
const STEPS_MAX = 1_500_000;

function run(plant: Plant): Promise<Outcome> {
  const worker = new Worker(new URL('worker.ts', import.meta.url), {
    workerData: { first: plant.firstSeed ?? 1, steps: STEPS_MAX, plant: plant.name },
  });
  return new Promise((resolve, reject) => {
    worker.on('message', (message: { outcome?: Outcome }) => {
      if (message.outcome !== undefined) resolve(message.outcome);
    });
    worker.on('error', reject);
  });
}

for (const plant of PLANTS) {
  test(`the simulation finds a planted fault: ${plant.name}`, async (t) => {
    const { failure, steps } = await run(plant);
    assert.ok(failure !== undefined, `nothing was found in ${steps} steps`);
    assert.notEqual(failure.invariant, 'threw', failure.message);
    t.diagnostic(`after ${steps} steps: ${failure.invariant}: ${failure.message}`);
  });
}
