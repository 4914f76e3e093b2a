import { LRUCache } from 'lru-cache';
import type { Clock } from '../runtime/clock.ts';

interface LastValue {
  payload: string | null;
  /** When it was read at its origin, where that is known. */
  readAtMs: number | undefined;
  confirmedMs: number;
}

/**
 * The last values that Redis confirmed, of families with a stale bound: to be served where neither Redis nor a load can answer. A value is
 * served no longer after its last confirmation than its family's bound: nobody can say meanwhile that it was not invalidated.
 */
export class LastValues {
  readonly #clock: Clock;
  readonly #values: LRUCache<string, LastValue> | undefined;

  constructor(max: number, clock: Clock) {
    this.#clock = clock;
    this.#values = max === 0 ? undefined : new LRUCache({ max });
  }

  confirm(key: string, payload: string | null, readAtMs: number | undefined): void {
    if (this.#values === undefined) return;
    const known = this.#values.get(key);
    if (known === undefined) this.#values.set(key, { payload, readAtMs, confirmedMs: this.#clock.monotonicMs() });
    else {
      known.payload = payload;
      known.readAtMs = readAtMs;
      known.confirmedMs = this.#clock.monotonicMs();
    }
  }

  get(key: string, boundMs: number): Readonly<LastValue> | undefined {
    const known = this.#values?.get(key);
    return known !== undefined && this.#clock.monotonicMs() - known.confirmedMs <= boundMs ? known : undefined;
  }

  forget(key: string): void {
    this.#values?.delete(key);
  }
}
