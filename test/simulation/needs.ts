import { KEYS, type SimKey } from './catalog.ts';
import type { Effect, Version } from './postgres.ts';

/** A version that a key's value must have, and what it needed before. `isWhole`: everything up to it, so that its forerunners are needed as well. */
interface Need {
  readonly version: Version;
  readonly isWhole: boolean;
  readonly before: Need | null;
}

/** Rows of a key, at most. */
const PLACES = 2;

/** What every value of a region must have seen by now, by what was applied to it. It goes back with a failover, as the region does. */
export class Needs {
  #needs: (Need | null)[] = Array.from({ length: KEYS.length * PLACES }, () => null);
  /** Evictions so far. */
  raised = 0;

  /** The version that is needed, but for those that the source itself has lost. */
  top(key: SimKey, place: number, branch: number): Version | null {
    const at = key.index * PLACES + place;
    let need = this.#needs[at] as Need | null;
    while (need !== null && need.version.diedOn <= branch) {
      const { before } = need.version;
      need = need.isWhole && before !== null ? { version: before, isWhole: true, before: need.before } : need.before;
    }
    this.#needs[at] = need;
    return need === null ? null : need.version;
  }

  raise({ key, place, version }: Effect, branch: number, isWhole: boolean): void {
    this.raised += 1;
    if (version.diedOn <= branch) return;
    const top = this.top(key, place, branch);
    if (top !== null && top.id >= version.id) return;
    const at = key.index * PLACES + place;
    this.#needs[at] = { version, isWhole, before: this.#needs[at] as Need | null };
  }

  /** A new epoch: what is below its beginning is needed whole, and nothing else. */
  reset(key: SimKey, place: number, version: Version): void {
    this.#needs[key.index * PLACES + place] = { version, isWhole: true, before: null };
  }

  clone(): Needs {
    const copy = new Needs();
    copy.#needs = [...this.#needs];
    copy.raised = this.raised;
    return copy;
  }
}
