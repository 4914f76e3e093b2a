import { judgeHit } from '../protocol/hit.ts';
import { payloadOf } from '../protocol/value-slot.ts';
import { isBusError, BusError } from '../protocol/errors.ts';
import { decodePayload } from './codec.ts';
import type { Entry } from './cache-store.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import { type Inspection, inspectReply } from './inspect.ts';
import type { KeyParams } from './origin.ts';
import type { ReadOptions } from './read-call.ts';
import type { Reading } from './reading.ts';

/** A family of cached values: `T` is what is loaded, as JSON keeps it; `P` are the parameters of its key. */
export class CacheFamily<T = unknown, P extends object = KeyParams> {
  readonly name: string;
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #reading: Reading;

  constructor(core: CacheCore, context: FamilyContext, reading: Reading) {
    this.name = context.family.name;
    this.#core = core;
    this.#context = context;
    this.#reading = reading;
  }

  /** The value, from the cache or loaded; null is "does not exist". Rejects with the loader's own error, or a `BusError`. */
  get(params: P, options?: ReadOptions): Promise<T | null> {
    return this.#reading.get(params as KeyParams, options) as Promise<T | null>;
  }

  /** Several values at once, in one flush, and where the family has `loadMany` by one call of it; in the order of `params`. Rejects with the first error. */
  getMany(params: readonly P[], options?: ReadOptions): Promise<(T | null)[]> {
    return this.#reading.getMany(params as readonly KeyParams[], options) as Promise<(T | null)[]>;
  }

  /** What the cache holds, which may be null, or undefined where it holds nothing that may be served. Loads nothing. */
  async peek(params: P): Promise<T | null | undefined> {
    this.#assertOpen();
    const { printer, rule, family } = this.#context;
    const entry = printer.entryOf(printer.keyOf(params as KeyParams));
    if (this.#core.kept.has(entry.key)) return undefined;
    const reply = await this.#core.store.read(entry, { ttl: family.staleMs > 0, watermark: false });
    // By types that were not known the key may print differently.
    if (this.#reading.learn(reply.rule) && rule.agrees) return this.peek(params);
    if (!rule.agrees || this.#core.kept.distrusts(entry.cell, reply.epoch)) return undefined;
    const verdict = judgeHit(reply, family.staleMs, family.version);
    if (verdict.kind !== 'hit' && verdict.kind !== 'stale') return undefined;
    return decodePayload(payloadOf(verdict.value)) as T | null | undefined;
  }

  /** Why `get` would answer as it does now. Changes and loads nothing. */
  async inspect(params: P): Promise<Inspection> {
    this.#assertOpen();
    const { printer } = this.#context;
    const entry = printer.entryOf(printer.keyOf(params as KeyParams));
    const reply = await this.#core.store.read(entry, { ttl: true, watermark: true });
    return inspectReply(this.#context, entry, reply, {
      isKept: this.#core.kept.has(entry.key),
      isDistrusted: this.#core.kept.distrusts(entry.cell, reply.epoch),
      failure: this.#core.failures.of(entry.key)?.error,
      nowMs: this.#core.clock.nowMs(),
    });
  }

  /**
   * Drops a value in this region, and with it every load that is under way for it. The bus does this by itself for what is written to the
   * database. Where Redis is away the eviction is kept, and sent before this process reads anything of the key there again: `kept`; other
   * processes may be served the old value until then. Where too many are kept it is `lost`: this process trusts nothing in the region
   * until that has outlived its time, and others may be served the value until its time to live is over.
   */
  async evict(params: P): Promise<'evicted' | 'kept' | 'lost'> {
    this.#assertOpen();
    const evicting = this.#evict(params as KeyParams);
    this.#core.ongoing.goOn(evicting);
    return evicting;
  }

  async #evict(given: KeyParams): Promise<'evicted' | 'kept' | 'lost'> {
    const { store, kept, counters } = this.#core;
    const { printer } = this.#context;
    // The caller may change his object while the eviction waits.
    const params = Object.fromEntries(this.#context.family.key.parameters.map((name) => [name, given[name]]));
    const first = printer.entryOf(printer.keyOf(params));
    counters.values.evictions += 1;
    this.#forget(first.key);
    let entry = first;
    try {
      // Where they are known the eviction is sent in this turn, before whatever is read after the call.
      if (!this.#context.rule.agrees) await this.#learnTypes(first);
      entry = printer.entryOf(printer.keyOf(params));
      await store.evict([entry]);
      return 'evicted';
    } catch (error) {
      if (!isBusError(error, 'REDIS_UNREACHABLE')) throw error;
      const learn = (): Promise<void> => this.#learnTypes(first);
      return kept.keep(entry.key, { entry: () => this.#printedAgain(params, first), learn }) ? 'kept' : 'lost';
    } finally {
      // What a read that was under way has brought meanwhile.
      this.#forget(entry.key);
    }
  }

  #forget(key: string): void {
    const { failures, lastValues, tier } = this.#core;
    failures.forget(key);
    lastValues.forget(key);
    tier?.drop(key);
    this.#reading.evicting(key);
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

  #assertOpen(): void {
    if (this.#core.isClosed()) throw new BusError('CACHE_CLOSED', 'The cache has been drained.');
  }
}
