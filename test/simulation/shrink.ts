import type { Fault } from './faults.ts';
import type { HarnessPlant } from './plants.ts';
import { type Failure, runSeed } from './run.ts';

/** Seeds that are tried once the faults are as few as can be. */
const OTHER_SEEDS = 60;
const SHRINK_MS = 15_000;
const LINES_MAX = 150;

export interface Shrunk {
  readonly failure: Failure;
  readonly trace: readonly string[];
}

/**
 * Looks for a shorter way to the same failure: takes faults away one by one, as long as the invariant still breaks, and then tries other seeds with those
 * that are left, for fewer and fewer steps. Not the shortest there is, but the shortest found.
 */
export function shrink(failure: Failure, plant: HarnessPlant | undefined): Shrunk {
  let best = failure;
  const attempt = (seed: number, faults: readonly Fault[], steps: number): boolean => {
    const found = runSeed({ seed, steps, faults: new Set(faults), plant }).failure;
    if (found === undefined || found.invariant !== failure.invariant) return false;
    best = found;
    return true;
  };
  // A calm that does not come takes long to see.
  const untilMs = performance.now() + SHRINK_MS;
  for (const fault of failure.faults) {
    if (performance.now() > untilMs) break;
    const fewer = best.faults.filter((other) => other !== fault);
    for (let other = 0; other < 4; other++) if (attempt(failure.seed + other * 7919, fewer, failure.step * 2)) break;
  }
  for (let other = 1; other <= OTHER_SEEDS && performance.now() < untilMs; other++)
    attempt(failure.seed + other * 104_729, best.faults, best.step - 1);
  const { trace } = runSeed({
    seed: best.seed,
    steps: best.step + 1,
    faults: new Set(best.faults),
    plant,
    isTraced: true,
  });
  return { failure: best, trace: trace.slice(-LINES_MAX) };
}
