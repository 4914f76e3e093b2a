import { parentPort, workerData } from 'node:worker_threads';
import { findPlant } from './plants.ts';
import { plantSource } from './source-plants.ts';

/** A part of the seeds, on a thread of its own; with a planted fault, where one is named. */
const { first, steps, plant } = workerData as { first: number; steps: number; plant?: string };
const planted = plant === undefined ? undefined : findPlant(plant);
// The sources are replaced before anything that imports them.
if (planted?.kind === 'source') plantSource(planted);
const { runSeeds } = await import('./run.ts');
const outcome = runSeeds(first, steps, planted?.kind === 'harness' ? planted.name : undefined, (done) =>
  parentPort?.postMessage({ done }),
);
parentPort?.postMessage({ outcome });
