import { isReached, type ReadToken } from '../protocol/read-token.ts';
import { unlessAborted } from './unless-aborted.ts';

/** `answer`: a value in the cache will do. `bypass`: only a load will. `behind`: for nobody, behind a value past its time. */
export type FlightKind = 'answer' | 'bypass' | 'behind';

/** The lease that a reader saw in the slot. */
export interface SeenLease {
  readonly token: string;
  /**
   * The offset of the last invalidation that may have made the load old and yet voided no lease: the family's mark; infinite in a family with
   * labels, since only the value names its tags.
   */
  readonly markedAt: number;
}

/**
 * A load of one key for all its callers in this process.
 *
 *     open ──▶ begun ──▶ ended        open: whoever joins gets a load that begins after he came
 *       │▲                            begun: the loader reads; what it reads may be older than who comes now
 *       ▼│
 *     sealed                          an answer of Redis is awaited that would be served: it too may be older than who comes now
 */
export class Flight {
  readonly key: string;
  readonly kind: FlightKind;
  readonly result: Promise<string | null>;
  /** The lease's, from before it is asked for; undefined where it is not known to stand. */
  token: string | undefined;
  /** When the value was read at its origin, by the clock of whoever loaded it; undefined where that is not known. */
  readAtMs: number | undefined;
  /** The offset that was read with the lease. */
  offset: number | undefined;
  #state: 'open' | 'sealed' | 'begun' | 'ended' = 'open';
  #demand: ReadToken | undefined;
  #waiters = 0;
  readonly #abort = new AbortController();
  readonly #settle: PromiseWithResolvers<string | null>;

  constructor(key: string, demand: ReadToken | undefined, kind: FlightKind) {
    this.key = key;
    this.kind = kind;
    this.#demand = demand;
    this.#settle = Promise.withResolvers();
    this.result = this.#settle.promise;
    // Whoever waits gets the error; where nobody does any more it is no unhandled one.
    this.result.catch(() => undefined);
  }

  /** Aborted when nobody waits any more, or the cache closes. */
  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  /** What the value must have seen, for any of its callers. */
  get demand(): ReadToken | undefined {
    return this.#demand;
  }

  get hasEnded(): boolean {
    return this.#state === 'ended';
  }

  /** Whether a reader may wait for this flight, whose own read of Redis saw the lease `seen`, and who demands `token`. */
  takes(seen: SeenLease | undefined, token: ReadToken | undefined, kind: FlightKind): boolean {
    if (this.#abort.signal.aborted || this.kind === 'behind' || (kind === 'bypass' && this.kind !== kind)) return false;
    if (this.#state === 'open') return this.#demands(token);
    if (this.#state !== 'begun' || seen === undefined || token !== undefined || kind !== 'answer') return false;
    // The lease stood at the reader's own read: the key was not evicted since it was taken, nor anything that it carries. But what was
    // taken may not be settled.
    return seen.token === this.token && this.offset !== undefined && seen.markedAt <= this.offset;
  }

  /** The payload, or the flight's error. A caller's own abort ends his waiting alone. */
  join(signal: AbortSignal | undefined): Promise<string | null> {
    this.#waiters += 1;
    if (signal === undefined) return this.result;
    return unlessAborted(this.result, signal, () => {
      this.#waiters -= 1;
      if (this.#waiters === 0) this.abort(signal.reason);
    });
  }

  seal(): void {
    if (this.#state === 'open') this.#state = 'sealed';
  }

  unseal(): void {
    if (this.#state === 'sealed') this.#state = 'open';
  }

  begin(): void {
    this.#state = 'begun';
  }

  end(payload: string | null): void {
    this.#state = 'ended';
    this.#settle.resolve(payload);
  }

  fail(error: unknown): void {
    this.#state = 'ended';
    this.#settle.reject(error);
  }

  abort(reason: unknown): void {
    this.#abort.abort(reason);
  }

  #demands(token: ReadToken | undefined): boolean {
    if (token === undefined) return true;
    if (this.#demand === undefined || isReached(this.#demand, token)) this.#demand = token;
    return isReached(token, this.#demand);
  }
}
