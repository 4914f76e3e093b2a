import { GROUPS, KEYS, type SimKey } from './catalog.ts';
import type { Effect, Version } from './postgres.ts';

/** A version that a key's value must have, and what it needed before. `isWhole`: everything up to it, so that its forerunners are needed as well. */
interface Need {
  readonly version: Version;
  readonly isWhole: boolean;
  readonly before: Need | null;
}

/** Rows of a key, at most. */
const PLACES = 2;

/**
 * What every value of a region must have seen by now, by what was applied to it. It goes back with a failover, as the region does.
 * Of a tagged key it is kept by the group of the value's row: a tag is on the values that carry it and on no others. In the log's order that is the same, as
 * each change names the tag of the one before it. A late record of a former source epoch comes out of that order: what it names says nothing of a value
 * of an earlier group, whose own change has yet to come, above the watermark.
 */
export class Needs {
  #needs: (Need | null)[] = Array.from({ length: KEYS.length * PLACES * GROUPS }, () => null);
  /** Evictions so far. */
  raised = 0;

  /** The version that a value with a row of this group needs, but for those that the source itself has lost. */
  top(key: SimKey, place: number, group: number, branch: number): Version | null {
    const at = placeOf(key, place, group);
    let need = this.#needs[at] as Need | null;
    while (need !== null && need.version.diedOn <= branch) {
      const { before } = need.version;
      need = need.isWhole && before !== null ? { version: before, isWhole: true, before: need.before } : need.before;
    }
    this.#needs[at] = need;
    return need === null ? null : need.version;
  }

  /** An item was applied. */
  raise({ key, place, version, group }: Effect, branch: number): void {
    this.raised += 1;
    this.#raise(key, place, group, { version, isWhole: false }, branch);
  }

  /** Everything up to a version is needed, whatever group a value's row is of. */
  raiseWhole({ key, place, version }: Effect, branch: number): void {
    for (let group = 0; group < GROUPS; group++) this.#raise(key, place, group, { version, isWhole: true }, branch);
  }

  /** A new epoch: what is below its beginning is needed whole, and nothing else. */
  reset(key: SimKey, place: number, version: Version): void {
    for (let group = 0; group < GROUPS; group++)
      this.#needs[placeOf(key, place, group)] = { version, isWhole: true, before: null };
  }

  clone(): Needs {
    const copy = new Needs();
    copy.#needs = [...this.#needs];
    copy.raised = this.raised;
    return copy;
  }

  #raise(key: SimKey, place: number, group: number, need: Omit<Need, 'before'>, branch: number): void {
    if (need.version.diedOn <= branch) return;
    const top = this.top(key, place, group, branch);
    if (top !== null && top.id >= need.version.id) return;
    const at = placeOf(key, place, group);
    this.#needs[at] = { ...need, before: this.#needs[at] as Need | null };
  }
}

/** A key that is evicted by its name is so whatever its value says. */
function placeOf(key: SimKey, place: number, group: number): number {
  return (key.index * PLACES + place) * GROUPS + (key.by === 'tag' ? group : 0);
}
