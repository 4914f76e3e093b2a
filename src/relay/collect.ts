import type { Invalidation } from '../protocol/invalidation.ts';

/** Tags and messages of one transaction that are remembered as sent; beyond, a repetition goes out again, which is harmless. */
const SEEN_MAX = 100_000;

/**
 * What one transaction makes old, each thing once. Rows stream through it: nothing waits for COMMIT, and what it remembers is
 * bounded, however long the transaction.
 *
 *     keys of a family   1 … keysMax     sent as keys
 *                        keysMax + 1     the family is sent instead; its later keys are covered
 */
export class TransactionCollector {
  readonly #keysMax: number;
  readonly #emit: (item: Invalidation) => void;
  readonly #keys = new Map<string, Set<string>>();
  readonly #wholeFamilies = new Set<string>();
  readonly #tags = new Set<string>();

  constructor(keysMax: number, emit: (item: Invalidation) => void) {
    this.#keysMax = keysMax;
    this.#emit = emit;
  }

  begin(): void {
    this.#keys.clear();
    this.#wholeFamilies.clear();
    this.#tags.clear();
  }

  add(item: Invalidation): void {
    switch (item.scope) {
      case 'key':
        return this.#addKey(item);
      case 'family':
        if (this.#wholeFamilies.has(item.family)) return;
        this.#wholeFamilies.add(item.family);
        this.#keys.delete(item.family);
        return this.#emit(item);
      case 'tag':
        if (this.#tags.has(item.tag)) return;
        if (this.#tags.size >= SEEN_MAX) this.#tags.clear();
        this.#tags.add(item.tag);
        return this.#emit(item);
    }
  }

  #addKey(item: Invalidation & { scope: 'key' }): void {
    if (this.#wholeFamilies.has(item.family)) return;
    let keys = this.#keys.get(item.family);
    if (keys === undefined) this.#keys.set(item.family, (keys = new Set()));
    if (keys.has(item.key)) return;
    if (keys.size >= this.#keysMax) return this.add({ scope: 'family', family: item.family, act: item.act });
    keys.add(item.key);
    this.#emit(item);
  }
}
