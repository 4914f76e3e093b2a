import type { Fault } from './faults.ts';
import { Random } from './random.ts';
import { noSituations, type Situations } from './situations.ts';
import type { HarnessPlant } from './plants.ts';

/** Something that must never be has been. */
export class Violation extends Error {
  readonly invariant: string;
  readonly step: number;

  constructor(invariant: string, step: number, message: string) {
    super(message);
    this.invariant = invariant;
    this.step = step;
  }
}

/** What all of one run share: chance, time, the faults that may strike, what has been met. */
export class World {
  readonly random: Random;
  readonly faults: ReadonlySet<Fault>;
  readonly plant: HarnessPlant | undefined;
  readonly seen: Situations = noSituations();
  /** Lines of what happened; only where somebody will read them. */
  readonly trace: string[] | undefined;
  /** Half of the runs change nothing by tag or family, so that local tiers keep what they hold. */
  readonly isTagless: boolean;
  /** A quarter of the runs write seldom: what is old once stays old for long, unless somebody evicts it. */
  readonly writesOneIn: number;
  nowMs = 1_700_000_000_000;
  step = 0;
  /** No new transactions, no new faults: what is under way comes to its end. */
  isQuiet = false;
  #names = 0;

  constructor(seed: number, faults: ReadonlySet<Fault>, plant: HarnessPlant | undefined, isTraced: boolean) {
    this.random = new Random(seed);
    this.isTagless = this.random.oneIn(2);
    this.writesOneIn = this.random.oneIn(4) ? 10 : 1;
    this.faults = faults;
    this.plant = plant;
    this.trace = isTraced ? [] : undefined;
  }

  /** Never the same twice; letters and digits. */
  name(prefix: string): string {
    this.#names += 1;
    return prefix + this.#names;
  }

  /** Whether a fault strikes now, once in `n` times where the run has it. */
  strikes(fault: Fault, n: number): boolean {
    return !this.isQuiet && this.faults.has(fault) && this.random.oneIn(n);
  }

  fail(invariant: string, message: string): never {
    this.trace?.push(`${this.step}  !!! ${invariant}: ${message}`);
    throw new Violation(invariant, this.step, message);
  }

  note(line: string): void {
    this.trace?.push(`${this.step} +${this.nowMs - 1_700_000_000_000} ms  ${line}`);
  }
}
