/**
 * What the demo knows to be true, kept beside what it sees. Every change of a row makes some keys old, in every region. A key goes round:
 *
 *     filled ──change committed──▶ old ──eviction seen──▶ gone ──put back──▶ filled
 *
 * A change is made only when all of its keys are filled everywhere, so a key has one change under way at most, and the value that is
 * put back after its eviction holds that change. (A reader that fills at any other moment needs more than this: a lease.)
 */
interface DemoKey {
  /** The number of the last change that made the key old; 0 if none did. */
  changed: number;
  /** When COMMIT returned for that change, by the demo's own clock in milliseconds. */
  committedAtMs: number;
  /** Regions in which the old value has not been seen to go. */
  readonly waiting: Set<string>;
  /** Regions in which the value is being put back. */
  readonly filling: Set<string>;
}

export interface Missed {
  readonly region: string;
  readonly key: string;
  readonly why: string;
}

export class Ledger {
  readonly #regions: readonly string[];
  readonly #keys = new Map<string, DemoKey>();
  #changes = 0;

  constructor(regions: readonly string[]) {
    this.#regions = regions;
  }

  get changes(): number {
    return this.#changes;
  }

  /** Keys whose eviction is awaited in a region, or anywhere. */
  waiting(region?: string): number {
    const isAwaited = ({ waiting }: DemoKey): boolean =>
      region === undefined ? waiting.size > 0 : waiting.has(region);
    return [...this.#keys.values()].filter(isAwaited).length;
  }

  /** Whether a change may touch these keys: each is in its place in every region. */
  isFree(keys: readonly string[]): boolean {
    return keys.every((key) => {
      const entry = this.#keys.get(key);
      return entry === undefined || (entry.waiting.size === 0 && entry.filling.size === 0);
    });
  }

  /** Reserves the keys of a change that is about to be made, and numbers it. Evictions may be seen before COMMIT returns. */
  begin(keys: readonly string[]): number {
    if (!this.isFree(keys)) throw new Error('A change was begun on a key that is not in its place.');
    this.#changes += 1;
    for (const key of keys) {
      const waiting = new Set(this.#regions);
      this.#keys.set(key, {
        changed: this.#changes,
        committedAtMs: Number.POSITIVE_INFINITY,
        waiting,
        filling: new Set(),
      });
    }
    return this.#changes;
  }

  committed(keys: readonly string[], atMs: number): void {
    for (const key of keys) this.#entry(key).committedAtMs = atMs;
  }

  /**
   * Notes that a key went, and that it is being put back. Returns the milliseconds since COMMIT returned, 0 if the eviction was seen
   * first, or undefined if no change of the key awaited it here.
   */
  evicted(region: string, key: string, atMs: number): number | undefined {
    const entry = this.#entry(key);
    entry.filling.add(region);
    return entry.waiting.delete(region) ? Math.max(0, atMs - entry.committedAtMs) : undefined;
  }

  /** The number that a value must carry to be put back. */
  valueFor(key: string): number {
    return this.#entry(key).changed;
  }

  filled(region: string, key: string): void {
    this.#entry(key).filling.delete(region);
  }

  changedKeys(): string[] {
    return [...this.#keys].flatMap(([key, { changed }]) => (changed > 0 ? [key] : []));
  }

  /** Holds what a region's Redis has for a key of a changed row against the truth. `stored` is the number in the value, null if it is gone. */
  judge(region: string, key: string, stored: number | null): Missed | undefined {
    const { changed } = this.#entry(key);
    if (stored === null || stored >= changed) return undefined;
    return { region, key, why: `holds the value of change ${stored}; change ${changed} made it old` };
  }

  #entry(key: string): DemoKey {
    let entry = this.#keys.get(key);
    if (entry === undefined)
      this.#keys.set(key, (entry = { changed: 0, committedAtMs: 0, waiting: new Set(), filling: new Set() }));
    return entry;
  }
}
