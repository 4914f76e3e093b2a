import { parentPort, workerData } from 'node:worker_threads';
import { findPlant } from './plants.ts';
import { plantSource } from './source-plants.ts';

/** A part of the seeds, on a thread of its own; with a planted fault, where one is named. */
const { first, steps, plant } = workerData as { first: number; steps: number; plant?: string };
const planted = plant === undefined ? undefined : findPlant(plant);
// The sources are replaced before anything that imports them.
if (planted?.kind === 'source') plantSource(planted);
const { runSeeds } = await import('./run.ts');
/** A worker's port is no window: there is no origin to name. */
const tell = (message: unknown): void => {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin
  parentPort?.postMessage(message);
};
const outcome = runSeeds(first, steps, planted?.kind === 'harness' ? planted.name : undefined, (done) =>
  tell({ done }),
);
tell({ outcome });
