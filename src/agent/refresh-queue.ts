/**
 * A load that waits for its turn. Returns whether the loader did its work: that what it gave may not be stored yet is no fault of its. Undefined where it was
 * not asked, or nobody wants to know any more.
 */
type Load = () => Promise<boolean | undefined>;

/** Loads at one time: what a burst of changes may ask of the database beside the readers. */
const LOADS_AT_ONCE = 4;
/** Of one family: as many as one cell may owe. */
const WAITING_MAX = 10_000;

/**
 * Loads of all cells, family by family in turn, so that a family that is slow, or that has much to do, keeps no other waiting. Of one whose last load has
 * failed only one is tried at a time: a loader that hangs would else have every place until each try's time is over.
 */
export class RefreshQueue {
  readonly #waiting = new Map<string, Load[]>();
  readonly #underWay = new Map<string, number>();
  readonly #failing = new Set<string>();
  #loads = 0;
  #isClosed = false;

  /** False where as many of the family wait as may. */
  offer(family: string, load: Load): boolean {
    if (this.#isClosed) return false;
    const waiting = this.#waiting.get(family);
    if (waiting === undefined) this.#waiting.set(family, [load]);
    else if (waiting.length >= WAITING_MAX) return false;
    else waiting.push(load);
    this.#pump();
    return true;
  }

  /** Begins nothing any more. What is under way is left to itself. */
  close(): void {
    this.#isClosed = true;
    this.#waiting.clear();
  }

  #pump(): void {
    for (let next = this.#next(); next !== undefined; next = this.#next()) void this.#run(...next);
  }

  #next(): [family: string, load: Load] | undefined {
    if (this.#loads >= LOADS_AT_ONCE) return undefined;
    for (const [family, waiting] of this.#waiting) {
      if (this.#failing.has(family) && (this.#underWay.get(family) ?? 0) > 0) continue;
      const load = waiting.shift();
      // Behind the others.
      this.#waiting.delete(family);
      if (waiting.length > 0) this.#waiting.set(family, waiting);
      if (load !== undefined) return [family, load];
    }
    return undefined;
  }

  async #run(family: string, load: Load): Promise<void> {
    this.#note(family, 1);
    const isWell = await load();
    this.#note(family, -1);
    if (isWell === true) this.#failing.delete(family);
    if (isWell === false) this.#failing.add(family);
    this.#pump();
  }

  #note(family: string, change: 1 | -1): void {
    this.#loads += change;
    const left = (this.#underWay.get(family) ?? 0) + change;
    if (left > 0) this.#underWay.set(family, left);
    else this.#underWay.delete(family);
  }
}
