import { judgeHit } from '../protocol/hit.ts';
import { isBusError, BusError } from '../protocol/errors.ts';
import { decodePayload } from './codec.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import { type Inspection, inspectReply } from './inspect.ts';
import type { KeyParams } from './origin.ts';
import type { Reading, ReadOptions } from './reading.ts';

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

  /** Several values at once, in one flush; in the order of `params`. Rejects with the first error. */
  getMany(params: readonly P[], options?: ReadOptions): Promise<(T | null)[]> {
    return Promise.all(params.map((one) => this.get(one, options)));
  }

  /** What the cache holds, which may be null, or undefined where it holds nothing that may be served. Loads nothing. */
  async peek(params: P): Promise<T | null | undefined> {
    this.#assertOpen();
    const { printer, rule, family } = this.#context;
    const entry = printer.entryOf(printer.keyOf(params as KeyParams));
    if (this.#core.kept.has(entry.key)) return undefined;
    const reply = await this.#core.store.read(entry, { ttl: family.staleMs > 0, watermark: false });
    this.#reading.learn(reply.rule);
    if (!rule.agrees || this.#core.kept.distrusts(entry.cell, reply.epoch)) return undefined;
    const verdict = judgeHit(reply, family.staleMs);
    if (verdict.kind !== 'hit' && verdict.kind !== 'stale') return undefined;
    return verdict.value.isAbsent ? null : (decodePayload(verdict.value.payload) as T | undefined);
  }

  /** Why `get` would answer as it does now. Changes and loads nothing. */
  async inspect(params: P): Promise<Inspection> {
    this.#assertOpen();
    const { printer } = this.#context;
    const entry = printer.entryOf(printer.keyOf(params as KeyParams));
    const reply = await this.#core.store.read(entry, { ttl: true, watermark: true });
    return inspectReply(this.#context, entry, reply, {
      isKept: this.#core.kept.has(entry.key),
      failure: this.#core.failures.of(entry.key)?.error,
      nowMs: this.#core.clock.nowMs(),
    });
  }

  /**
   * Drops a value in this region, and with it every load that is under way for it. The bus does this by itself for what is written to the
   * database. Where Redis is away the eviction is kept, and sent before anything of the key is read there again: `kept`.
   */
  async evict(params: P): Promise<'evicted' | 'kept'> {
    this.#assertOpen();
    const { store, kept, failures, lastValues, tier, counters } = this.#core;
    const { printer } = this.#context;
    const key = printer.keyOf(params as KeyParams);
    counters.values.evictions += 1;
    failures.forget(key);
    lastValues.forget(key);
    tier?.drop(key);
    this.#reading.evicting(key);
    const entry = printer.entryOf(key);
    try {
      await store.evict([entry]);
      // What a read that was sent before the eviction has brought meanwhile.
      tier?.drop(key);
      return 'evicted';
    } catch (error) {
      if (!isBusError(error, 'REDIS_UNREACHABLE')) throw error;
      kept.keep(key, () => printer.entryOf(printer.keyOf(params as KeyParams)));
      return 'kept';
    }
  }

  #assertOpen(): void {
    if (this.#core.isClosed()) throw new BusError('CACHE_CLOSED', 'The cache has been drained.');
  }
}
