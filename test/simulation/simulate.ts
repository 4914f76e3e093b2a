import { availableParallelism } from 'node:os';
import { readFileSync, writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { parseArgs } from 'node:util';
import { findPlant } from './plants.ts';
import { type Failure, type Outcome, runSeed, SEED_STEPS } from './run.ts';
import { shrink } from './shrink.ts';
import { addSituations, noSituations } from './situations.ts';

const KEPT = new URL('seeds.json', import.meta.url);
const DEFAULT_STEPS = 1_000_000;
/** Between the first seeds of two workers. */
const SEEDS_APART = 1_000_000;

interface KeptSeed {
  readonly seed: number;
  readonly steps: number;
  readonly faults: Failure['faults'];
  readonly why: string;
}

/** `npm run simulate`. Returns the exit code. */
export async function main(argv: string[]): Promise<number> {
  const { values } = parseArgs({
    args: argv,
    options: {
      seed: { type: 'string' },
      steps: { type: 'string' },
      workers: { type: 'string' },
      plant: { type: 'string' },
      json: { type: 'boolean' },
      trace: { type: 'boolean' },
      keep: { type: 'boolean' },
    },
  });
  const steps = Number(values.steps ?? DEFAULT_STEPS);
  const seed = Number(values.seed ?? 1);
  const planted = values.plant === undefined ? undefined : findPlant(values.plant);
  const isOne = values.seed !== undefined && steps <= SEED_STEPS;
  const kept = values.plant === undefined && !isOne ? runKept() : undefined;
  const workers = isOne ? 1 : Math.max(1, Number(values.workers ?? Math.min(2, availableParallelism())));
  const outcomes = kept === undefined ? [] : [kept];
  if (kept?.failure === undefined) {
    const share = Math.ceil(steps / workers);
    const parts = Array.from({ length: workers }, (_, i) => runWorker(seed + i * SEEDS_APART, share, values.plant));
    outcomes.push(...(await Promise.all(parts)));
  }
  const situations = noSituations();
  for (const outcome of outcomes) addSituations(situations, outcome.situations);
  const failures = outcomes.flatMap(({ failure }) => failure ?? []);
  for (const failure of failures)
    tell(
      failure,
      planted?.kind === 'source' ? undefined : planted?.name,
      planted?.kind === 'source',
      values.keep === true,
    );
  const total = {
    steps: outcomes.reduce((sum, one) => sum + one.steps, 0),
    seeds: outcomes.reduce((sum, one) => sum + one.seeds, 0),
    violations: failures.length,
    situations,
  };
  if (values.json !== true) {
    for (const [name, count] of Object.entries(situations)) console.log(`${String(count).padStart(12)}  ${name}`);
    console.log(`${total.steps} steps, ${total.seeds} seeds, ${total.violations} violations`);
  } else console.log(JSON.stringify(total));
  return failures.length === 0 ? 0 : 1;
}

/** Seeds that once failed, whatever else is run. */
function runKept(): Outcome {
  const kept = JSON.parse(readFileSync(KEPT, 'utf8')) as KeptSeed[];
  const situations = noSituations();
  let steps = 0;
  for (const { seed, steps: length, faults } of kept) {
    const outcome = runSeed({ seed, steps: length, faults: new Set(faults) });
    addSituations(situations, outcome.situations);
    steps += outcome.steps;
    if (outcome.failure !== undefined) return { steps, seeds: kept.length, situations, failure: outcome.failure };
  }
  return { steps, seeds: kept.length, situations, failure: undefined };
}

function runWorker(first: number, steps: number, plant: string | undefined): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL('worker.ts', import.meta.url), { workerData: { first, steps, plant } });
    worker.on('message', (message: { outcome?: Outcome }) => {
      if (message.outcome !== undefined) resolve(message.outcome);
    });
    worker.on('error', reject);
  });
}

function tell(failure: Failure, plant: Parameters<typeof shrink>[1], isSource: boolean, isKept: boolean): void {
  console.error(`seed ${failure.seed}, step ${failure.step}: ${failure.invariant}: ${failure.message}`);
  console.error(`with ${failure.faults.join(', ') || 'no faults'}`);
  // A fault in a source file stands on the worker's thread alone.
  if (isSource) return;
  const { failure: short, trace } = shrink(failure, plant);
  console.error(
    `The shortest found: seed ${short.seed}, step ${short.step}, with ${short.faults.join(', ') || 'no faults'}`,
  );
  for (const line of trace) console.error(line);
  console.error(`${short.invariant}: ${short.message}`);
  if (!isKept) return;
  const kept = JSON.parse(readFileSync(KEPT, 'utf8')) as KeptSeed[];
  for (const { seed, step, faults, invariant, message } of [failure, short])
    kept.push({ seed, steps: step + 1000, faults, why: `${invariant}: ${message}` });
  writeFileSync(KEPT, `${JSON.stringify(kept, null, 2)}\n`);
}
