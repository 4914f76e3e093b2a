import { judgeHit } from '../protocol/hit.ts';
import { payloadOf } from '../protocol/value-slot.ts';
import { BusError } from '../protocol/errors.ts';
import { decodePayload } from './codec.ts';
import type { CacheCore } from './core.ts';
import { type Evicted, Evicting } from './evicting.ts';
import type { FamilyContext } from './family-context.ts';
import { type Inspection, inspectReply } from './inspect.ts';
import type { KeyParams } from './origin.ts';
import type { ReadOptions } from './read-call.ts';
import type { WriteSession } from './pool.ts';
import { isBehind, type Reading } from './reading.ts';
import { nothingTold, type Served, servedAs, tellStored, type Told } from './told.ts';
import type { Warmed } from './warmed.ts';
import { type WriteOptions, type WritePorts, Writing } from './writing.ts';

/** A family of cached values: `T` is what is loaded, as JSON keeps it; `P` are the parameters of its key. */
export class CacheFamily<T = unknown, P extends object = KeyParams> {
  readonly name: string;
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #reading: Reading;
  readonly #evicting: Evicting;
  readonly #writing: Writing;

  constructor(core: CacheCore, context: FamilyContext, reading: Reading, ports: WritePorts) {
    this.name = context.family.name;
    this.#core = core;
    this.#context = context;
    this.#reading = reading;
    this.#evicting = new Evicting(core, context, reading);
    this.#writing = new Writing(core, context, reading, this.#evicting, ports);
  }

  /** The value, from the cache or loaded; null is "does not exist". Rejects with the loader's own error, or a `BusError`. */
  get(params: P, options?: ReadOptions): Promise<T | null> {
    return this.#reading.get(params as KeyParams, options) as Promise<T | null>;
  }

  /**
   * Several values at once, in one flush; what is missing by one call of the family's `loadMany`, or by one statement of its `source`. In the order of `params`.
   * Rejects with the first error.
   */
  getMany(params: readonly P[], options?: ReadOptions): Promise<(T | null)[]> {
    return this.#reading.getMany(params as readonly KeyParams[], options) as Promise<(T | null)[]>;
  }

  /** As `get`, with what is known of the value: what `cache.route` answers by. */
  async serve(params: P, options?: ReadOptions): Promise<Served<T>> {
    const told = nothingTold();
    const value = (await this.#reading.get(params as KeyParams, options, undefined, told)) as T | null;
    return servedAs(value, told, this.#core.clock.nowMs());
  }

  /** As `peek`, likewise; undefined where nothing may be served. `maxStalenessMs` as for `get`: of a region that is further behind nothing is. */
  async serveHeld(
    params: P,
    { maxStalenessMs }: Pick<ReadOptions, 'maxStalenessMs'> = {},
  ): Promise<Served<T> | undefined> {
    const told = nothingTold();
    const value = await this.#peek(params, told, maxStalenessMs);
    return value === undefined ? undefined : servedAs(value, told, this.#core.clock.nowMs());
  }

  /** Asks for several as `getMany` does, so that the cache has them, and says of each what became of it. Rejects where the cache has been drained. */
  async warm(params: readonly P[], options?: ReadOptions): Promise<Warmed> {
    this.#assertOpen();
    return this.#reading.warm(params as readonly KeyParams[], options);
  }

  /** What the cache holds, which may be null, or undefined where it holds nothing that may be served. Loads nothing. */
  async peek(params: P): Promise<T | null | undefined> {
    return this.#peek(params);
  }

  async #peek(params: P, told?: Told, maxStalenessMs?: number): Promise<T | null | undefined> {
    this.#assertOpen();
    const { printer, rule, family } = this.#context;
    const { kept, store, clock } = this.#core;
    const entry = printer.entryOf(printer.keyOf(params as KeyParams));
    if (kept.has(entry.key)) return undefined;
    const ttl = family.staleMs > 0 || told !== undefined;
    const reply = await store.read(entry, { ttl, watermark: maxStalenessMs !== undefined });
    // By types that were not known the key may print differently.
    if (this.#reading.learn(reply.rule) && rule.agrees) return this.#peek(params, told, maxStalenessMs);
    if (!rule.agrees || kept.distrusts(entry.cell, reply.epoch)) return undefined;
    const verdict = judgeHit(reply, family.staleMs, family.version);
    if (verdict.kind !== 'hit' && verdict.kind !== 'stale') return undefined;
    const isBound = maxStalenessMs !== undefined;
    if (isBound && (verdict.kind === 'stale' || isBehind(reply.watermark, maxStalenessMs, clock.nowMs())))
      return undefined;
    if (told !== undefined) tellStored(told, family, verdict.value, reply.ttlLeftMs, clock.nowMs());
    return decodePayload(told?.payload ?? payloadOf(verdict.value)) as T | null | undefined;
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
  async evict(params: P): Promise<Evicted> {
    this.#assertOpen();
    const evicting = this.#evicting.evict(params as KeyParams);
    this.#core.ongoing.goOn(evicting);
    return evicting;
  }

  /**
   * Runs `work` in a transaction of its own, on a client of `postgres.primary`, and returns what it returned, once it is committed. What it throws takes
   * the transaction back, and is thrown as it is.
   *
   *     evict     after COMMIT the key is evicted (the default)
   *     update    after COMMIT what the work returned is stored, unless it may not be: then the key is evicted
   *     leave     nothing is done: the bus evicts what was changed, as it does in each case
   *
   * With `update` the work returns the new value of the key, built of nothing but the row that its own UPDATE or INSERT returned. No failure of Redis
   * is one of the write. Throws `WRITE_OUTCOME_UNKNOWN` where COMMIT has no answer, `WRITE_ROLLED_BACK`, and before anything is done
   * `CACHE_WRITE_UNFIT`, `CACHE_OPTION_INVALID` or `POSTGRES_POOL_INVALID`.
   */
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- the application says what its pool's clients are
  write<S = WriteSession>(
    params: P,
    work: (tx: S) => Promise<T | null> | T | null,
    options: WriteOptions & { readonly then: 'update' },
  ): Promise<T | null>;
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- likewise
  write<R, S = WriteSession>(
    params: P,
    work: (tx: S) => Promise<R> | R,
    options?: WriteOptions & { readonly then?: 'evict' | 'leave' },
  ): Promise<R>;
  async write<R, S>(params: P, work: (tx: S) => Promise<R> | R, options: WriteOptions = {}): Promise<R> {
    this.#assertOpen();
    const writing = this.#writing.write(params as KeyParams, work as (tx: unknown) => Promise<R> | R, options);
    this.#core.ongoing.goOn(writing);
    return writing;
  }

  #assertOpen(): void {
    if (this.#core.isClosed()) throw new BusError('CACHE_CLOSED', 'The cache has been drained.');
  }
}
