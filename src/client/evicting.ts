import { BusError, isBusError } from '../protocol/errors.ts';
import type { Entry } from './cache-store.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import type { KeyParams } from './origin.ts';
import type { Reading } from './reading.ts';

export type Evicted = 'evicted' | 'kept' | 'lost';

/** Evictions of a family's keys by this process. */
export class Evicting {
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #reading: Reading;

  constructor(core: CacheCore, context: FamilyContext, reading: Reading) {
    this.#core = core;
    this.#context = context;
    this.#reading = reading;
  }

  /** Keeps the eviction where Redis is away. Throws what else Redis answers. */
  evict(params: KeyParams): Promise<Evicted> {
    return this.#evict(params, (error) => isBusError(error, 'REDIS_UNREACHABLE'));
  }

  /** After a COMMIT: nothing that Redis answers is an error of the write, and the key is not read there before it has been evicted. */
  evictWritten(params: KeyParams): Promise<Evicted> {
    return this.#evict(params, (error) => {
      this.#core.announcer.redisFailed(error, this.#context.family.name);
      return error instanceof BusError;
    });
  }

  async #evict(given: KeyParams, isKept: (error: unknown) => boolean): Promise<Evicted> {
    const { store, kept, counters } = this.#core;
    const { printer } = this.#context;
    // The caller may change his object while the eviction waits.
    const params = this.paramsOf(given);
    const first = printer.entryOf(printer.keyOf(params));
    counters.values.evictions += 1;
    this.forget(first.key);
    let entry = first;
    try {
      // Where they are known the eviction is sent in this turn, before whatever is read after the call.
      if (!this.#context.rule.agrees) await this.#learnTypes(first);
      entry = printer.entryOf(printer.keyOf(params));
      await store.evict([entry]);
      return 'evicted';
    } catch (error) {
      if (!isKept(error)) throw error;
      const learn = (): Promise<void> => this.#learnTypes(first);
      return kept.keep(entry.key, { entry: () => this.#printedAgain(params, first), learn }) ? 'kept' : 'lost';
    } finally {
      // What a read that was under way has brought meanwhile.
      this.forget(entry.key);
    }
  }

  /** Drops what this process itself knows of a key. */
  forget(key: string): void {
    const { failures, lastValues, tier } = this.#core;
    failures.forget(key);
    lastValues.forget(key);
    tier?.drop(key);
    this.#reading.evicting(key);
  }

  /** A copy of what the key needs. */
  paramsOf(given: KeyParams): KeyParams {
    return Object.fromEntries(this.#context.family.key.parameters.map((name) => [name, given[name]]));
  }

  /** Without its types a key may be printed otherwise than it stands in the region, and nothing would be evicted. */
  async #learnTypes(entry: Entry): Promise<void> {
    if (this.#context.rule.agrees) return;
    const reply = await this.#core.store.read(entry, { ttl: false, watermark: false }).catch((error: unknown) => {
      if (isBusError(error, 'REDIS_UNREACHABLE')) throw error;
      return undefined;
    });
    if (reply !== undefined) this.#reading.learn(reply.rule);
  }

  /** By the types as they are known now. Where the parameters are no longer any, as they were. */
  #printedAgain(params: KeyParams, before: Entry): Entry {
    const { printer } = this.#context;
    try {
      return printer.entryOf(printer.keyOf(params));
    } catch {
      return before;
    }
  }
}
