import { once } from 'node:events';
import { Worker } from 'node:worker_threads';

export interface LabOrder {
  readonly seed: number;
  readonly runs: number;
  /** The name of a fault that is planted. */
  readonly plant?: string;
}

export interface LabReport {
  /** How many ended well, one after the other. */
  readonly runs: number;
  readonly fault: string | undefined;
  readonly seen: Readonly<Record<string, number>>;
}

/** Runs a lab in a thread of its own: in the test's, the runner follows each promise, and there are millions. */
export async function runLab(order: LabOrder): Promise<LabReport> {
  const worker = new Worker(new URL('./write-lab-worker.ts', import.meta.url), { workerData: order });
  const [report] = (await once(worker, 'message')) as [LabReport];
  await worker.terminate();
  return report;
}
