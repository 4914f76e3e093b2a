/**
 * What the demo knows to be true, kept beside what it sees. Every change of a row makes some keys old, in every region. A key goes round:
 *
 *     filled ──change committed──▶ old ──eviction seen──▶ gone ──put back──▶ filled
 *
 * A change is made only when all of its keys are filled or gone everywhere, so a key has one change under way at most, and the value
 * that is put back after its eviction holds that change. (A reader that fills at any other moment needs more than this: a lease.)
 */
export interface DemoKey {
  /** The number of the last change that made the key old; 0 if none did. */
  changed: number;
  /** When COMMIT returned for that change, by the demo's own clock in milliseconds. */
  committedAtMs: number;
  /** Regions in which the old value has not been seen to go. */
  readonly waiting: Set<string>;
}

export interface Missed {
  readonly region: string;
  readonly key: string;
  readonly why: string;
}

export class Ledger {
  readonly #regions: readonly string[];
  readonly #keys = new Map<string, DemoKey>();
  readonly #waiting = new Set<string>();
  #changes = 0;

  constructor(regions: readonly string[]) {
    this.#regions = regions;
  }

  get changes(): number {
    return this.#changes;
  }

  /** Keys whose eviction is still awaited somewhere. */
  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** Whether a change may touch these keys: none of them awaits an eviction. */
  isFree(keys: readonly string[]): boolean {
    return keys.every((key) => !this.#waiting.has(key));
  }

  /** Reserves the keys of a change that is about to be made, and numbers it. Evictions may be seen before COMMIT returns. */
  begin(keys: readonly string[]): number {
    if (!this.isFree(keys)) throw new Error('A change was begun on a key that still awaits its eviction.');
    this.#changes += 1;
    for (const key of keys) {
      this.#keys.set(key, {
        changed: this.#changes,
        committedAtMs: Number.POSITIVE_INFINITY,
        waiting: new Set(this.#regions),
      });
      this.#waiting.add(key);
    }
    return this.#changes;
  }

  committed(keys: readonly string[], atMs: number): void {
    for (const key of keys) this.#entry(key).committedAtMs = atMs;
  }

  /**
   * Notes that a key went. Returns the milliseconds since COMMIT returned, 0 if the eviction was seen first, or undefined if no
   * change of the key awaited it here.
   */
  evicted(region: string, key: string, atMs: number): number | undefined {
    const entry = this.#keys.get(key);
    if (entry === undefined || !entry.waiting.delete(region)) return undefined;
    if (entry.waiting.size === 0) this.#waiting.delete(key);
    return Math.max(0, atMs - entry.committedAtMs);
  }

  /** The number that a value must carry to be put back now, or undefined while the region still awaits an eviction. */
  fillable(region: string, key: string): number | undefined {
    const entry = this.#keys.get(key);
    if (entry === undefined) return 0;
    return entry.waiting.has(region) ? undefined : entry.changed;
  }

  changedKeys(): string[] {
    return [...this.#keys.keys()];
  }

  /** Holds what a region's Redis has for a key of a changed row against the truth. `stored` is the number in the value, null if it is gone. */
  judge(region: string, key: string, stored: number | null): Missed | undefined {
    const { changed } = this.#entry(key);
    if (stored === null || stored >= changed) return undefined;
    return { region, key, why: `holds the value of change ${stored}; change ${changed} made it old` };
  }

  #entry(key: string): DemoKey {
    const entry = this.#keys.get(key);
    if (entry === undefined) throw new Error(`The demo never changed ${key}.`);
    return entry;
  }
}
