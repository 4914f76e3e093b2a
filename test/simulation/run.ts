import type { Fault } from './faults.ts';
import type { HarnessPlant } from './plants.ts';
import { Simulation } from './simulation.ts';
import { addSituations, noSituations, type Situations } from './situations.ts';
import { Violation } from './world.ts';

/** Steps of one seed. */
export const SEED_STEPS = 50_000;

export interface Failure {
  readonly seed: number;
  readonly step: number;
  readonly invariant: string;
  readonly message: string;
  /** What may go wrong in the run; by it and the seed it is repeated. */
  readonly faults: readonly Fault[];
}

export interface Outcome {
  readonly steps: number;
  readonly seeds: number;
  readonly situations: Situations;
  readonly failure: Failure | undefined;
}

export interface SeedOptions {
  readonly seed: number;
  readonly steps: number;
  readonly faults?: ReadonlySet<Fault>;
  readonly plant?: HarnessPlant | undefined;
  readonly isTraced?: boolean;
}

/** Runs one seed. Returns what it met, and its failure, if it has one, with the trace. */
export function runSeed(options: SeedOptions): Outcome & { readonly trace: readonly string[] } {
  const simulation = new Simulation(options);
  const { world } = simulation;
  let failure: Failure | undefined;
  try {
    simulation.run(options.steps);
  } catch (error) {
    // What the deciding code throws is a failure of it too.
    const invariant = error instanceof Violation ? error.invariant : 'threw';
    const message = error instanceof Violation ? error.message : String((error as Error).stack);
    failure = { seed: options.seed, step: world.step, invariant, message, faults: [...world.faults] };
  }
  return { steps: world.step, seeds: 1, situations: world.seen, failure, trace: world.trace ?? [] };
}

/** Runs seeds from the first on until the steps are done or one fails. */
export function runSeeds(first: number, steps: number, plant?: HarnessPlant, each?: (done: number) => void): Outcome {
  const situations = noSituations();
  let done = 0;
  let seeds = 0;
  let failure: Failure | undefined;
  for (let seed = first; done < steps && failure === undefined; seed++) {
    const outcome = runSeed({ seed, steps: Math.min(SEED_STEPS, steps - done), plant });
    addSituations(situations, outcome.situations);
    done += outcome.steps;
    seeds += 1;
    failure = outcome.failure;
    each?.(done);
  }
  return { steps: done, seeds, situations, failure };
}
