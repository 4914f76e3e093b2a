import { BusError } from '../protocol/errors.ts';
import { type HitVerdict, judgeHit } from '../protocol/hit.ts';
import { isReached, parseReadToken, type ReadToken } from '../protocol/read-token.ts';
import { isDueEarly } from '../protocol/early-refresh.ts';
import { isReloaded, payloadOf, type StoredValue } from '../protocol/value-slot.ts';
import type { CellWatermark, ReadReply, ReadWants } from './cache-store.ts';
import { decodePayload } from './codec.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import type { SeenLease } from './flight.ts';
import { Loads } from './loads.ts';
import { inTurns, type Many } from './many.ts';
import { ManyLoad } from './many-load.ts';
import type { KeyParams } from './origin.ts';
import type { Call, ReadOptions } from './read-call.ts';
import type { Refusal } from './stats.ts';
import { tellStored, type Told } from './told.ts';
import type { Warmed, WarmedKey, WarmListener } from './warmed.ts';

const NO_OPTIONS: ReadOptions = {};
const TOKEN_LOOK_MS = 5;

/**
 * Reads of a family.
 *
 *     own memory ──▶ Redis ─┬ hit ────────────────▶ answer
 *                           ├ stale ──────────────▶ answer, and one reader loads behind it
 *                           ├ held, miss ─────────▶ join a load that may be joined, or start one
 *                           ├ other rules ────────▶ load, not stored
 *                           └ no answer, or the key waits for its eviction ──▶ load, not stored
 */
export class Reading {
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #loads: Loads;
  readonly #plainWants: ReadWants;
  /** Reads that were sent since the process last heard from outside. */
  readonly #justSent = new Map<string, Promise<ReadReply>>();

  constructor(core: CacheCore, context: FamilyContext) {
    this.#core = core;
    this.#context = context;
    this.#loads = new Loads(core, context);
    const { staleMs, localMs, early } = context.family;
    this.#plainWants = { ttl: staleMs > 0 || early > 0 || (localMs > 0 && core.tier !== undefined), watermark: false };
  }

  /** Rejects; throws nothing. */
  get(params: KeyParams, options: ReadOptions = NO_OPTIONS, many?: Many, told?: Told): Promise<unknown> {
    try {
      const { tier, counters, isClosed } = this.#core;
      if (isClosed()) throw new BusError('CACHE_CLOSED', 'The cache has been drained: nothing is read any more.');
      const { printer, family, sampler } = this.#context;
      const key = printer.keyOf(params);
      const { token, maxStalenessMs, signal } = options;
      if (maxStalenessMs !== undefined && !(maxStalenessMs >= 0))
        throw new BusError(
          'CACHE_OPTION_INVALID',
          `maxStalenessMs is ${maxStalenessMs}: milliseconds from 0 are expected.`,
        );
      const demand = token === undefined ? undefined : parseReadToken(token);
      signal?.throwIfAborted();
      counters.values.reads += 1;
      sampler?.read(key);
      if (tier !== undefined && family.localMs > 0 && token === undefined && maxStalenessMs === undefined) {
        const local = tier.get(key, told);
        if (local !== undefined) {
          counters.values.localHits += 1;
          many?.told?.('hit');
          return Promise.resolve(local);
        }
      }
      return this.#ask({
        params,
        entry: printer.entryOf(key),
        token: demand,
        maxStalenessMs,
        signal,
        many,
        told,
        sending: 0,
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Several at once, in one flush. */
  getMany(list: readonly KeyParams[], options?: ReadOptions): Promise<unknown[]> {
    if (list.length < 2) return Promise.all(list.map((params) => this.get(params, options)));
    return Promise.all(this.#getEach(list, options));
  }

  /** The same, for what the cache has then. */
  async warm(list: readonly KeyParams[], options?: ReadOptions): Promise<Warmed> {
    const told: ('hit' | 'stored' | Refusal)[] = [];
    let loadMs = 0;
    const answers = this.#getEach(list, options, {
      told: (i, what) => void (told[i] ??= what),
      took: (ms) => (loadMs += ms),
    });
    const settled = await Promise.allSettled(answers);
    return {
      keys: settled.map((answer, i): WarmedKey => {
        if (answer.status === 'rejected') return { kind: 'failed', error: answer.reason };
        const what = told[i];
        return what === 'hit' || what === 'stored' ? { kind: what } : { kind: 'unstored', why: what };
      }),
      loadMs,
    };
  }

  #getEach(list: readonly KeyParams[], options?: ReadOptions, listener?: WarmListener): Promise<unknown>[] {
    const { many } = this.#context.origin;
    const tellsOf = (i: number) =>
      listener === undefined ? {} : { told: (what: 'hit' | 'stored' | Refusal) => listener.told(i, what) };
    if (many === undefined) {
      const turns = inTurns(this.#core);
      return list.map((params, i) => this.get(params, options, { ...turns, ...tellsOf(i) }));
    }
    const load = new ManyLoad(this.#core, this.#context, many, listener?.took);
    const each = list.map((_, i) => load.of(i));
    return each.map((one, i) => {
      const answer = this.get(list[i] as KeyParams, options, { ...one, ...tellsOf(i) });
      answer.then(one.decided, one.decided);
      return answer;
    });
  }

  #ask(call: Call): Promise<unknown> {
    const { store, kept, tier, ongoing } = this.#core;
    // What waits to be evicted is still there.
    if (kept.has(call.entry.key)) return this.#loads.answer(call, { kind: 'through' });
    const isPlain = call.token === undefined && call.maxStalenessMs === undefined;
    const wants = isPlain && call.told === undefined ? this.#plainWants : this.#wantsOf(call, !isPlain);
    if (tier !== undefined) call.sending = tier.sending();
    const shared = isPlain ? this.#justSent.get(call.entry.key) : undefined;
    const isQuiet = shared === undefined && store.isQuiet;
    const read = shared ?? (isQuiet ? store.readQuietly(call.entry, wants) : store.read(call.entry, wants));
    if (isPlain && shared === undefined) this.#share(call.entry.key, read);
    ongoing.beginRead();
    return read.then(
      (reply) => {
        ongoing.endRead();
        return this.#answer(call, reply);
      },
      (error: unknown) => {
        ongoing.endRead();
        if (isQuiet) store.failed(error);
        return this.#noAnswer(call, error);
      },
    );
  }

  #wantsOf({ told }: Call, watermark: boolean): ReadWants {
    return { ttl: told !== undefined || this.#plainWants.ttl, watermark };
  }

  /**
   * A crowd that asks for a key in one turn of the event loop is one read: until the turn ends nothing can come in, so nobody in it can know of
   * anything that the read does not show, but an eviction of our own.
   */
  #share(key: string, read: Promise<ReadReply>): void {
    if (this.#justSent.size === 0) queueMicrotask(() => this.#justSent.clear());
    this.#justSent.set(key, read);
  }

  /** What is read after an eviction of our own is sent after it. */
  evicting(key: string): void {
    this.#justSent.delete(key);
  }

  #answer(call: Call, reply: ReadReply): unknown {
    const { rule, family } = this.#context;
    if (reply.rule !== rule.text) return this.#otherRules(call, reply.rule);
    // An eviction that could not be sent came while the read was under way.
    if (!rule.agrees || this.#core.kept.has(call.entry.key)) return this.#loads.answer(call, { kind: 'through' });
    if (this.#core.kept.distrusts(call.entry.cell, reply.epoch)) return this.#loads.answer(call, { kind: 'through' });
    if (call.token !== undefined && !hasReached(call.token, reply)) return this.#waitForRegion(call);
    const verdict = judgeHit(reply, family.staleMs, family.version);
    switch (verdict.kind) {
      case 'hit':
        return this.#hit(call, reply, verdict);
      case 'stale':
        if (verdict.isLeased && this.#isTooStale(call, reply)) return this.#pastCache(call);
        if (call.token !== undefined || call.maxStalenessMs !== undefined) return this.#miss(call, undefined, 'lease');
        return this.#stale(call, reply, verdict);
      case 'held':
        // The load that is under way began before this call: it has seen no more than the region has, and what was committed until then.
        if (this.#isTooStale(call, reply)) return this.#pastCache(call);
        return this.#miss(call, { token: verdict.token, markedAt: this.#markedAt(reply) }, 'held');
      case 'miss':
        return this.#miss(call, undefined, 'lease');
    }
  }

  #hit(call: Call, reply: ReadReply, { value }: Extract<HitVerdict, { kind: 'hit' }>): unknown {
    const { counters, lastValues, tier } = this.#core;
    const { staleMs, localMs, early } = this.#context.family;
    const payload = this.#payload(call, value, reply);
    const decoded = decodePayload(payload);
    if (decoded === undefined) return this.#loads.answer(call, { kind: 'through' });
    if (this.#isTooStale(call, reply)) return this.#tooStale(call, decoded);
    counters.values.hits += 1;
    call.many?.told?.('hit');
    if (early > 0) this.#early(call, value, reply.ttlLeftMs);
    if (staleMs > 0) lastValues.confirm(call.entry.key, payload, value.readAtMs);
    if (tier !== undefined && localMs > 0) {
      const freshMs = reply.ttlLeftMs < 0 ? localMs : reply.ttlLeftMs - staleMs;
      const times = { lifeMs: Math.min(localMs, freshMs), leftMs: freshMs, readAtMs: value.readAtMs };
      tier.put(call.entry, payload, call.sending, times);
    }
    return decoded;
  }

  /** Refreshes a value that is served, where this reader draws it. */
  #early(call: Call, value: StoredValue, ttlLeftMs: number): void {
    const { random, clock } = this.#core;
    const { staleMs, early } = this.#context.family;
    if (ttlLeftMs < 0 || !this.#context.isProven || isReloaded(value, clock.nowMs())) return;
    const facts = { leftMs: ttlLeftMs - staleMs, loadMs: value.loadMs, beta: early };
    if (isDueEarly(facts, random())) this.#loads.behind(call, value.id);
  }

  #stale(call: Call, reply: ReadReply, { value }: Extract<HitVerdict, { kind: 'stale' }>): unknown {
    const { counters, clock } = this.#core;
    const decoded = decodePayload(this.#payload(call, value, reply));
    if (decoded === undefined) return this.#loads.answer(call, { kind: 'through' });
    counters.values.staleHits += 1;
    call.many?.told?.('hit');
    // A lease whose holder is gone may stand over the value for as long as that does.
    if (!isReloaded(value, clock.nowMs()) && this.#context.isProven) this.#loads.behind(call);
    return decoded;
  }

  /** As it stands in Redis, or, for who wants to be told more, without compression. */
  #payload({ told }: Call, value: StoredValue, { ttlLeftMs }: ReadReply): string | null {
    if (told === undefined) return payloadOf(value);
    tellStored(told, this.#context.family, value, ttlLeftMs, this.#core.clock.nowMs());
    return told.payload ?? null;
  }

  #markedAt({ familyMark }: ReadReply): number {
    return this.#context.family.tags.length > 0 ? Number.POSITIVE_INFINITY : (familyMark?.offset ?? -1);
  }

  #miss(call: Call, seen: SeenLease | undefined, start: 'lease' | 'held'): Promise<unknown> {
    // Where only a lease stands the value is as gone.
    this.#core.lastValues.forget(call.entry.key);
    return this.#loads.answer(call, { kind: this.#context.isProven ? start : 'through' }, seen);
  }

  #noAnswer(call: Call, error: unknown): Promise<unknown> {
    const { counters, announcer } = this.#core;
    counters.values.redisFailures += 1;
    announcer.redisFailed(error, this.#context.family.name);
    return this.#loads.answer(call, { kind: 'through' });
  }

  /** The region's rules are others than were known. By their types the key may print differently: then it is read once more. */
  #otherRules(call: Call, text: string | null): Promise<unknown> {
    const { rule, printer } = this.#context;
    this.learn(text);
    if (!rule.agrees) return this.#loads.answer(call, { kind: 'through' });
    return this.#ask({ ...call, entry: printer.entryOf(printer.keyOf(call.params)) });
  }

  /** Takes what the region says of the family's rules, and tells the application. Returns whether it is new. */
  learn(text: string | null): boolean {
    const { rule, family } = this.#context;
    const { announcer, kept } = this.#core;
    if (!rule.learn(text)) return false;
    if (rule.agrees) {
      kept.reprint();
      if (announcer.over('rules-differ', family.name)) announcer.say('rules-agree', { family: family.name });
    } else
      announcer.once('rules-differ', {
        family: family.name,
        detail: `This file’s: ${family.ruleHash}; the region’s: ${text ?? 'none'}.`,
      });
    return true;
  }

  /** The region has not seen yet what the token demands. */
  #waitForRegion(call: Call): Promise<unknown> {
    const waiting = this.#askUntilReached(call);
    this.#core.ongoing.goOn(waiting);
    return waiting;
  }

  async #askUntilReached(call: Call): Promise<unknown> {
    const { clock, limits, store, counters, closing } = this.#core;
    const untilMs = clock.monotonicMs() + limits.tokenWaitMs;
    const { token } = call;
    counters.values.tokenWaits += 1;
    for (let lookMs = TOKEN_LOOK_MS; token !== undefined && clock.monotonicMs() < untilMs; lookMs *= 1.5) {
      await clock.sleep(lookMs, call.signal ?? closing);
      call.signal?.throwIfAborted();
      closing.throwIfAborted();
      try {
        const reply = await store.read(call.entry, this.#wantsOf(call, true));
        if (hasReached(token, reply)) return this.#answer(call, reply);
        // On another history it is never reached.
        if (reply.watermark !== null && reply.watermark.timeline !== token.timeline) break;
      } catch (error) {
        return this.#noAnswer(call, error);
      }
    }
    counters.values.tokenBypasses += 1;
    return this.#loads.answer(call, { kind: this.#context.isProven ? 'lease' : 'through' }, undefined, 'bypass');
  }

  #isTooStale({ maxStalenessMs }: Call, { watermark }: ReadReply): boolean {
    return maxStalenessMs !== undefined && isBehind(watermark, maxStalenessMs, this.#core.clock.nowMs());
  }

  #pastCache(call: Call): Promise<unknown> {
    this.#core.counters.values.tooStale += 1;
    return this.#loads.answer(call, { kind: 'through' }, undefined, 'bypass');
  }

  async #tooStale(call: Call, cached: unknown): Promise<unknown> {
    try {
      return await this.#pastCache(call);
    } catch (cause) {
      call.signal?.throwIfAborted();
      const { tooStale, name } = this.#context.family;
      if (tooStale === 'serve') return cached;
      throw new BusError(
        'CACHE_TOO_STALE',
        `The region is more than ${call.maxStalenessMs} ms behind, and family ${name} could not be loaded.`,
        { cause, at: call.entry.key },
      );
    }
  }
}

/** Whether a region is further behind the database than so much; one of which nothing is known is. */
export function isBehind(watermark: CellWatermark | null, maxStalenessMs: number, nowMs: number): boolean {
  return watermark === null || nowMs - watermark.asOfMs > maxStalenessMs;
}

function hasReached(token: ReadToken, reply: ReadReply): boolean {
  return reply.watermark !== null && isReached(token, reply.watermark);
}
