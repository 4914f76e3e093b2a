import type { Breaker } from './breaker.ts';
import type {
  CacheStore,
  Entry,
  LeaseReply,
  LeaseRequest,
  ReadReply,
  ReadWants,
  StoreReply,
  StoreRequest,
  WriteLeaseReply,
  WriteLeaseRequest,
} from './cache-store.ts';

/** A store behind a breaker. */
export class GuardedStore implements CacheStore {
  readonly #store: CacheStore;
  readonly #breaker: Breaker;

  constructor(store: CacheStore, breaker: Breaker) {
    this.#store = store;
    this.#breaker = breaker;
  }

  /** Whether Redis seems not to be there. */
  get isAway(): boolean {
    return this.#breaker.state !== 'closed';
  }

  /** Whether `readQuietly` may be called. */
  get isQuiet(): boolean {
    return this.#breaker.isQuiet;
  }

  /** As `read`, on its shortest way, past the breaker: its failure is passed to `failed`. */
  readQuietly(entry: Entry, wants: ReadWants): Promise<ReadReply> {
    return this.#store.read(entry, wants);
  }

  failed(error: unknown): void {
    this.#breaker.failed(error);
  }

  read(entry: Entry, wants: ReadWants): Promise<ReadReply> {
    return this.#breaker.run(() => this.#store.read(entry, wants));
  }

  /** Where no answer came, the lease may have been taken, or be taken yet: what is sent behind it ends it. */
  lease(entry: Entry, request: LeaseRequest): Promise<LeaseReply> {
    return this.#orGiveUp(entry, request.token, () => this.#store.lease(entry, request));
  }

  leaseToWrite(entry: Entry, request: WriteLeaseRequest): Promise<WriteLeaseReply> {
    return this.#orGiveUp(entry, request.token, () => this.#store.leaseToWrite(entry, request));
  }

  async #orGiveUp<T>(entry: Entry, token: string, lease: () => Promise<T>): Promise<T> {
    try {
      return await this.#breaker.run(lease);
    } catch (error) {
      void this.#store.giveUp(entry, token).catch(() => undefined);
      throw error;
    }
  }

  store(entry: Entry, request: StoreRequest): Promise<StoreReply> {
    return this.#breaker.run(() => this.#store.store(entry, request));
  }

  giveUp(entry: Entry, token: string): Promise<void> {
    return this.#breaker.run(() => this.#store.giveUp(entry, token));
  }

  evict(entries: readonly Entry[]): Promise<void> {
    return this.#breaker.run(() => this.#store.evict(entries));
  }

  rules(): Promise<ReadonlyMap<string, string>> {
    return this.#breaker.run(() => this.#store.rules());
  }
}
