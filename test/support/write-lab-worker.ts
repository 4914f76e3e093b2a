import { parentPort, workerData } from 'node:worker_threads';
import { seeded } from './seeded.ts';
import { WriteLab } from './write-lab.ts';
import type { LabOrder, LabReport } from './write-lab-runs.ts';
import { PLANTS } from './write-plants.ts';

const { seed, runs, plant } = workerData as LabOrder;
const lab = new WriteLab(seeded(seed), plant === undefined ? undefined : PLANTS[plant]);
let fault: string | undefined;
let run = 0;
try {
  for (; run < runs; run++) await lab.run();
} catch (error) {
  fault = (error as Error).message;
}
const report: LabReport = { runs: run, fault, seen: Object.fromEntries(lab.seen) };
// oxlint-disable-next-line unicorn/require-post-message-target-origin -- not a window
parentPort?.postMessage(report);
