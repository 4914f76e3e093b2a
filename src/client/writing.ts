import type { BusConfig } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import type { CacheCore } from './core.ts';
import type { Evicting } from './evicting.ts';
import type { FamilyContext } from './family-context.ts';
import { ask } from './lent-client.ts';
import type { KeyParams } from './origin.ts';
import type { Pool, PoolClient } from './pool.ts';
import type { Reading } from './reading.ts';
import type { Refusal } from './stats.ts';
import { WriteLease } from './write-lease.ts';
import { runInTransaction } from './write-transaction.ts';
import { readWritten, type WrittenValue, whyNoWriterKnows } from './written-value.ts';

/** Where writes are written. */
export interface WritePorts {
  readonly config: Pick<BusConfig, 'tagRules'>;
  /** The pool of the primary. Missing where the application has given none. */
  readonly primary?: Pool;
}

export interface WriteOptions {
  /** What becomes of the key after COMMIT. Default `evict`. */
  readonly then?: 'evict' | 'update' | 'leave';
}

type Value = Extract<WrittenValue, { kind: 'value' }>;

/** How the cache stands as COMMIT is sent. */
type Prepared =
  | { readonly kind: 'lease'; readonly lease: WriteLease; readonly value: Value }
  /** Nothing will be stored. `other`: the key of another row, which is evicted too. */
  | { readonly kind: 'none'; readonly other?: KeyParams };

const THEN: ReadonlySet<unknown> = new Set(['evict', 'update', 'leave']);
const NOTHING: Prepared = { kind: 'none' };

/** Whether the transaction has locked anything: what has no transaction id has changed no row, and locked none. */
const HAS_WRITTEN = 'SELECT pg_current_xact_id_if_assigned() IS NOT NULL';

/**
 * Writes of a family.
 *
 *     BEGIN ──▶ work ──▶ lease (update only) ──▶ COMMIT ─┬ answered ──▶ store; refused, or without a lease: evict
 *                │                                       ├ refused ───▶ the lease ends
 *                └ throws ──▶ ROLLBACK                   └ no answer ─▶ evict
 */
export class Writing {
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #reading: Reading;
  readonly #evicting: Evicting;
  readonly #ports: WritePorts;

  constructor(core: CacheCore, context: FamilyContext, reading: Reading, evicting: Evicting, ports: WritePorts) {
    this.#core = core;
    this.#context = context;
    this.#reading = reading;
    this.#evicting = evicting;
    this.#ports = ports;
  }

  async write<R>(
    given: KeyParams,
    work: (session: unknown) => Promise<R> | R,
    { then = 'evict' }: WriteOptions,
  ): Promise<R> {
    const pool = this.#poolFor(work, then);
    const params = this.#evicting.paramsOf(given);
    this.#context.printer.keyOf(params);
    const end = await runInTransaction<R, Prepared>(pool, {
      run: work,
      beforeCommit: async (session, value) => (then === 'update' ? this.#prepare(session, params, value) : NOTHING),
    });
    switch (end.kind) {
      case 'rolled back':
        if (end.prepared?.kind === 'lease') end.prepared.lease.giveUp();
        throw end.error;
      case 'unknown':
        await this.#evict(params, end.prepared);
        throw end.error;
      case 'committed':
        this.#core.counters.values.writes += 1;
        if (then !== 'leave' && !(await this.#stored(end.prepared))) await this.#evict(params, end.prepared);
        return end.value;
    }
  }

  /** The pool. Throws what is misuse, before anything is done. */
  #poolFor(work: unknown, then: unknown): Pool {
    const { family } = this.#context;
    if (typeof work !== 'function')
      throw new BusError(
        'CACHE_OPTION_INVALID',
        `write of family ${family.name} takes a function as its second argument.`,
      );
    if (!THEN.has(then))
      throw new BusError('CACHE_OPTION_INVALID', `then is "${String(then)}": evict, update or leave is expected.`);
    const why = then === 'update' ? whyNoWriterKnows(family, this.#ports.config.tagRules) : undefined;
    if (why !== undefined)
      throw new BusError('CACHE_WRITE_UNFIT', `Values of family ${family.name} cannot be written through: ${why}.`);
    const { primary } = this.#ports;
    if (primary !== undefined) return primary;
    throw new BusError('POSTGRES_POOL_INVALID', 'write needs a pool of the primary: pass it as `postgres.primary`.');
  }

  /** Whatever fails here, the write goes on without being stored. */
  async #prepare(session: PoolClient, params: KeyParams, returned: unknown): Promise<Prepared> {
    const { printer, family, rule } = this.#context;
    const value = readWritten(family, printer, params, returned);
    if (value.kind === 'unfit') {
      this.#refused(value.why, value.detail);
      return value.other === undefined ? NOTHING : { kind: 'none', other: value.other };
    }
    if (!rule.agrees) return this.#refused('rules');
    const [lease, hasWritten] = await Promise.all([this.#lease(params), hasWrittenIn(session)]);
    if (lease === undefined) return NOTHING;
    if (hasWritten) return { kind: 'lease', lease, value };
    lease.giveUp();
    return this.#refused('value', 'Its transaction has written nothing, so that it holds no row.');
  }

  async #lease(params: KeyParams): Promise<WriteLease | undefined> {
    const { printer } = this.#context;
    try {
      const taken = await WriteLease.take(this.#core, this.#context, printer.entryOf(printer.keyOf(params)));
      if (taken instanceof WriteLease) return taken;
      if (taken.kind === 'rules') this.#reading.learn(taken.rule);
      this.#refused(taken.kind);
    } catch (error) {
      this.#noAnswer(error);
    }
    return undefined;
  }

  async #stored(prepared: Prepared): Promise<boolean> {
    if (prepared.kind === 'none') return false;
    const { lease, value } = prepared;
    const { counters } = this.#core;
    this.#evicting.forget(lease.entry.key);
    try {
      const why = await lease.store(value);
      if (why === undefined) counters.values.writesStored += 1;
      else this.#refused(why);
      return why === undefined;
    } catch (error) {
      this.#noAnswer(error);
      return false;
    } finally {
      // What a read has brought meanwhile.
      this.#evicting.forget(lease.entry.key);
    }
  }

  async #evict(params: KeyParams, prepared: Prepared = NOTHING): Promise<void> {
    const keys = prepared.kind === 'lease' || prepared.other === undefined ? [params] : [params, prepared.other];
    // By types that have become known meanwhile what was given may be no key: then nothing stands under it.
    await Promise.all(keys.map((key) => this.#evicting.evictWritten(key).catch(() => undefined)));
  }

  #refused(why: Refusal, detail?: string): Prepared {
    const { counters, announcer } = this.#core;
    const { name } = this.#context.family;
    counters.refused(why, 'writesNotStored');
    if (why === 'label') {
      counters.values.labelsMissing += 1;
      announcer.once('label-missing', { family: name, ...(detail === undefined ? {} : { detail }) });
    } else if (detail !== undefined) announcer.once('write-not-stored', { family: name, detail });
    return NOTHING;
  }

  #noAnswer(error: unknown): void {
    this.#core.counters.values.redisFailures += 1;
    this.#core.announcer.redisFailed(error, this.#context.family.name);
    this.#refused('unreachable');
  }
}

/** Where Postgres gives no answer, COMMIT tells why. */
async function hasWrittenIn(session: PoolClient): Promise<boolean> {
  return ask(session, HAS_WRITTEN).then(
    ({ rows }) => rows[0]?.[0] === true,
    () => false,
  );
}
