import type { Invalidation } from '../protocol/invalidation.ts';

/** Keys of a family, and tags, of one transaction that are remembered as sent; beyond, a repetition goes out again, which is harmless. */
const SEEN_MAX = 100_000;

/**
 * What one transaction makes old, each thing once. Rows stream through it: nothing waits for COMMIT, and what it remembers is
 * bounded, however long the transaction.
 *
 *     keys of a family   1 … keysMax     sent as keys; one that is sent again counts again
 *                        keysMax + 1     the family is sent instead; its later keys are covered
 */
export class TransactionCollector {
  readonly #keysMax: number;
  readonly #emit: (item: Invalidation) => void;
  readonly #keys = new Map<string, { readonly seen: Set<string>; sent: number }>();
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
    if (keys === undefined) this.#keys.set(item.family, (keys = { seen: new Set(), sent: 0 }));
    if (keys.seen.has(item.key)) return;
    if (keys.sent >= this.#keysMax) return this.add({ scope: 'family', family: item.family, act: item.act });
    if (keys.seen.size >= SEEN_MAX) keys.seen.clear();
    keys.seen.add(item.key);
    keys.sent += 1;
    this.#emit(item);
  }
}
