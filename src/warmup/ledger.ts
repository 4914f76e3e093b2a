/** Keys of a family that may be unreadable before it is asked whether all are. */
const UNREADABLE_MIN = 100;

export interface LedgerFacts {
  /** Of the reads a second that can be warm, those whose keys are: from 0 to 1. */
  readonly share: number;
  readonly loaded: number;
  /** Were warm before they were asked for. */
  readonly wereWarm: number;
  /** Nothing is kept of them. */
  readonly none: number;
  /** Loaded, and not stored in the end. */
  readonly notStored: number;
  readonly failed: number;
}

/** What has become of the keys, by the reads that they stand for. */
export class Ledger {
  readonly #families = new Map<string, FamilyLedger>();
  readonly #readsPerSecond: number;
  #warmReads = 0;
  #lostReads = 0;

  /** `readsPerSecond`: of all keys of the plan. */
  constructor(readsPerSecond: number) {
    this.#readsPerSecond = readsPerSecond;
  }

  warm(family: string, by: 'hit' | 'load', reads: number): void {
    this.#of(family)[by === 'hit' ? 'wereWarm' : 'loaded'] += 1;
    this.#warmReads += reads;
  }

  /** No reader can have it from the cache: it does not count for the share. */
  lost(family: string, how: 'none' | 'failed', reads: number): void {
    this.#of(family)[how] += 1;
    this.#lostReads += reads;
  }

  notStored(family: string): void {
    this.#of(family).notStored += 1;
  }

  /** Most of what was asked for failed by itself: nobody has the family from the cache. */
  isHopeless(family: string): boolean {
    const { failed, loaded, wereWarm, none } = this.#of(family);
    return failed >= UNREADABLE_MIN && failed > loaded + wereWarm + none;
  }

  get share(): number {
    const possible = this.#readsPerSecond - this.#lostReads;
    // Sums of fractions are a little off.
    return possible <= this.#readsPerSecond * 1e-9 ? 1 : Math.min(1, this.#warmReads / possible);
  }

  get facts(): LedgerFacts {
    const sum = { loaded: 0, wereWarm: 0, none: 0, notStored: 0, failed: 0 };
    for (const one of this.#families.values())
      for (const name of Object.keys(sum) as (keyof typeof sum)[]) sum[name] += one[name];
    return { share: this.share, ...sum };
  }

  get families(): ReadonlyMap<string, Readonly<FamilyLedger>> {
    return this.#families;
  }

  #of(family: string): FamilyLedger {
    let one = this.#families.get(family);
    if (one === undefined)
      this.#families.set(family, (one = { loaded: 0, wereWarm: 0, none: 0, notStored: 0, failed: 0 }));
    return one;
  }
}

interface FamilyLedger {
  loaded: number;
  wereWarm: number;
  none: number;
  notStored: number;
  failed: number;
}
