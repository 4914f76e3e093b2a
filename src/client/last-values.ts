import { LRUCache } from 'lru-cache';
import type { Clock } from '../runtime/clock.ts';

/**
 * The last values that Redis confirmed, of families with a stale bound: to be served where neither Redis nor a load can answer. A value is
 * served no longer after its last confirmation than its family's bound: nobody can say meanwhile that it was not invalidated.
 */
export class LastValues {
  readonly #clock: Clock;
  readonly #values: LRUCache<string, { payload: string | null; confirmedMs: number }> | undefined;

  constructor(max: number, clock: Clock) {
    this.#clock = clock;
    this.#values = max === 0 ? undefined : new LRUCache({ max });
  }

  confirm(key: string, payload: string | null): void {
    if (this.#values === undefined) return;
    const known = this.#values.get(key);
    if (known === undefined) this.#values.set(key, { payload, confirmedMs: this.#clock.monotonicMs() });
    else {
      known.payload = payload;
      known.confirmedMs = this.#clock.monotonicMs();
    }
  }

  get(key: string, boundMs: number): { readonly payload: string | null } | undefined {
    const known = this.#values?.get(key);
    return known !== undefined && this.#clock.monotonicMs() - known.confirmedMs <= boundMs ? known : undefined;
  }

  forget(key: string): void {
    this.#values?.delete(key);
  }
}
