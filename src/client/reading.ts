import { BusError, isBusError } from '../protocol/errors.ts';
import { type HitVerdict, judgeHit } from '../protocol/hit.ts';
import { isReached, parseReadToken, type ReadToken } from '../protocol/read-token.ts';
import type { Entry, ReadReply, ReadWants } from './cache-store.ts';
import { decodePayload } from './codec.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import { Fill, type FillStart } from './fill.ts';
import type { Flight, FlightKind, SeenLease } from './flight.ts';
import type { KeyParams } from './origin.ts';

export interface ReadOptions {
  /** As `afterWrite` returned it: the value has seen everything that was committed before. */
  readonly token?: string;
  /** How far the region may be behind the database, by its own measure, for its value to do. */
  readonly maxStalenessMs?: number;
  /** Ends this call's waiting, and the load too if nobody else waits for it. */
  readonly signal?: AbortSignal;
}

/** One call of get. */
interface Call {
  readonly params: KeyParams;
  readonly entry: Entry;
  readonly token: ReadToken | undefined;
  readonly maxStalenessMs: number | undefined;
  readonly signal: AbortSignal | undefined;
  /** The tier's, as the read is sent. */
  sending: number;
}

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
  readonly #plainWants: ReadWants;
  /** Reads that were sent since the process last heard from outside. */
  readonly #justSent = new Map<string, Promise<ReadReply>>();

  constructor(core: CacheCore, context: FamilyContext) {
    this.#core = core;
    this.#context = context;
    const { staleMs, localMs } = context.family;
    this.#plainWants = { ttl: staleMs > 0 || (localMs > 0 && core.tier !== undefined), watermark: false };
  }

  /** Rejects; throws nothing. */
  get(params: KeyParams, options: ReadOptions = NO_OPTIONS): Promise<unknown> {
    try {
      const { tier, counters, isClosed } = this.#core;
      if (isClosed()) throw new BusError('CACHE_CLOSED', 'The cache has been drained: nothing is read any more.');
      const { printer, family } = this.#context;
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
      if (tier !== undefined && family.localMs > 0 && token === undefined && maxStalenessMs === undefined) {
        const local = tier.get(key);
        if (local !== undefined) {
          counters.values.localHits += 1;
          return Promise.resolve(local);
        }
      }
      return this.#ask({
        params,
        entry: printer.entryOf(key),
        token: demand,
        maxStalenessMs,
        signal,
        sending: 0,
      });
    } catch (error) {
      return Promise.reject(error);
    }
  }

  #ask(call: Call): Promise<unknown> {
    const { store, kept, tier, ongoing } = this.#core;
    // What waits to be evicted is still there.
    if (kept.has(call.entry.key)) return this.#load(call, { kind: 'through' });
    const isPlain = call.token === undefined && call.maxStalenessMs === undefined;
    const wants = isPlain ? this.#plainWants : { ttl: this.#plainWants.ttl, watermark: true };
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
    if (!rule.agrees || this.#core.kept.has(call.entry.key)) return this.#load(call, { kind: 'through' });
    if (this.#core.kept.distrusts(call.entry.cell, reply.epoch)) return this.#load(call, { kind: 'through' });
    if (call.token !== undefined && !hasReached(call.token, reply)) return this.#waitForRegion(call);
    const verdict = judgeHit(reply, family.staleMs);
    switch (verdict.kind) {
      case 'hit':
        return this.#hit(call, reply, verdict);
      case 'stale':
        if (call.token !== undefined || call.maxStalenessMs !== undefined) return this.#miss(call, undefined, 'lease');
        return this.#stale(call, verdict);
      case 'held':
        return this.#miss(call, { token: verdict.token, markedAt: this.#markedAt(reply) }, 'held');
      case 'miss':
        return this.#miss(call, undefined, 'lease');
    }
  }

  #hit(call: Call, reply: ReadReply, { value }: Extract<HitVerdict, { kind: 'hit' }>): unknown {
    const { counters, lastValues, tier, clock } = this.#core;
    const { staleMs, localMs } = this.#context.family;
    const decoded = value.isAbsent ? null : decodePayload(value.payload);
    if (decoded === undefined) return this.#load(call, { kind: 'through' });
    if (call.maxStalenessMs !== undefined) {
      const asOfMs = reply.watermark?.asOfMs;
      if (asOfMs === undefined || clock.nowMs() - asOfMs > call.maxStalenessMs) return this.#tooStale(call, decoded);
    }
    counters.values.hits += 1;
    if (staleMs > 0) lastValues.confirm(call.entry.key, value.isAbsent ? null : value.payload);
    if (tier !== undefined && localMs > 0) {
      const freshMs = reply.ttlLeftMs < 0 ? localMs : reply.ttlLeftMs - staleMs;
      tier.put(call.entry, value.isAbsent ? null : value.payload, call.sending, Math.min(localMs, freshMs));
    }
    return decoded;
  }

  #stale(call: Call, { value, isLeased }: Extract<HitVerdict, { kind: 'stale' }>): unknown {
    const { counters, flights, failures, ongoing, closing } = this.#core;
    const { key } = call.entry;
    const decoded = value.isAbsent ? null : decodePayload(value.payload);
    if (decoded === undefined) return this.#load(call, { kind: 'through' });
    counters.values.staleHits += 1;
    if (
      !isLeased &&
      this.#context.isProven &&
      !closing.aborted &&
      flights.last(key) === undefined &&
      failures.of(key) === undefined
    ) {
      const flight = flights.start(key, undefined, 'behind');
      ongoing.goOn(
        this.#fly(flight, () =>
          this.#fill(call, flight)
            .runBehind()
            .then(() => null),
        ),
      );
    }
    return decoded;
  }

  #markedAt({ familyMark }: ReadReply): number {
    return this.#context.family.tags.length > 0 ? Number.POSITIVE_INFINITY : (familyMark?.offset ?? -1);
  }

  #miss(call: Call, seen: SeenLease | undefined, start: 'lease' | 'held'): Promise<unknown> {
    // Where only a lease stands the value is as gone.
    this.#core.lastValues.forget(call.entry.key);
    return this.#load(call, { kind: this.#context.isProven ? start : 'through' }, seen);
  }

  /** Every read that no value in the cache answers comes here, once. */
  #load(call: Call, start: FillStart, seen?: SeenLease, kind: FlightKind = 'answer'): Promise<unknown> {
    this.#core.counters.values.misses += 1;
    return this.#joinLoad(call, start, seen, kind);
  }

  /** Joins a load that began after this call, or starts one. */
  async #joinLoad(
    call: Call,
    start: FillStart,
    seen: SeenLease | undefined,
    kind: FlightKind,
    isAlone = false,
  ): Promise<unknown> {
    const { failures, flights, counters, closing } = this.#core;
    const { key } = call.entry;
    closing.throwIfAborted();
    const failure = failures.of(key);
    if (failure !== undefined) {
      counters.values.rememberedFailures += 1;
      throw failure.error;
    }
    let flight = isAlone ? undefined : flights.find(key, seen, call.token, kind);
    if (flight !== undefined) counters.values.joins += 1;
    else {
      // Without leases one load of a key follows another: so a key's readers are one load at a time to the database.
      const before = start.kind === 'through' ? flights.last(key) : undefined;
      const started = (flight = flights.start(key, call.token, kind));
      const fill = this.#fill(call, started);
      void this.#fly(started, async () => {
        await before?.result.catch(() => undefined);
        return fill.run(start);
      });
    }
    try {
      const payload = await flight.join(call.signal);
      return payload === null ? null : (JSON.parse(payload) as unknown);
    } catch (error) {
      // What another caller demanded, who came to the same load, is no error of this one.
      if (!isAlone && isUnreached(error) && asksMore(flight.demand, call.token))
        return this.#joinLoad(call, start, seen, kind, true);
      return this.#lastValue(call, error);
    }
  }

  #fill(call: Call, flight: Flight): Fill {
    return new Fill(this.#core, this.#context, call.entry, call.params, flight);
  }

  async #fly(flight: Flight, run: () => Promise<string | null>): Promise<void> {
    const { flights, failures } = this.#core;
    try {
      const payload = await run();
      flights.remove(flight);
      flight.end(payload);
    } catch (error) {
      flights.remove(flight);
      const isOwn = flight.signal.aborted || (error instanceof BusError && error.code === 'CACHE_OVERLOADED');
      if (!isOwn && !isUnreached(error)) failures.remember(flight.key, error);
      flight.fail(error);
    }
  }

  /** Where there was no place for a load, the last value will do for a family that allows stale ones. */
  #lastValue(call: Call, error: unknown): unknown {
    const { counters, lastValues } = this.#core;
    if (!(error instanceof BusError) || error.code !== 'CACHE_OVERLOADED') throw error;
    counters.values.overloads += 1;
    const { staleMs } = this.#context.family;
    const isStrict = call.token !== undefined || call.maxStalenessMs !== undefined;
    const last = isStrict ? undefined : lastValues.get(call.entry.key, staleMs);
    if (last === undefined) throw error;
    counters.values.lastValues += 1;
    return last.payload === null ? null : decodePayload(last.payload);
  }

  #noAnswer(call: Call, error: unknown): Promise<unknown> {
    const { counters, announcer } = this.#core;
    counters.values.redisFailures += 1;
    announcer.redisFailed(error, this.#context.family.name);
    return this.#load(call, { kind: 'through' });
  }

  /** The region's rules are others than were known. By their types the key may print differently: then it is read once more. */
  #otherRules(call: Call, text: string | null): Promise<unknown> {
    const { rule, printer } = this.#context;
    this.learn(text);
    if (!rule.agrees) return this.#load(call, { kind: 'through' });
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
        const reply = await store.read(call.entry, { ttl: this.#plainWants.ttl, watermark: true });
        if (hasReached(token, reply)) return this.#answer(call, reply);
        // On another history it is never reached.
        if (reply.watermark !== null && reply.watermark.timeline !== token.timeline) break;
      } catch (error) {
        return this.#noAnswer(call, error);
      }
    }
    counters.values.tokenBypasses += 1;
    return this.#load(call, { kind: this.#context.isProven ? 'lease' : 'through' }, undefined, 'bypass');
  }

  async #tooStale(call: Call, cached: unknown): Promise<unknown> {
    this.#core.counters.values.tooStale += 1;
    try {
      return await this.#load(call, { kind: 'through' }, undefined, 'bypass');
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

/** A token is the caller's, who may have it from anywhere: that it cannot be reached says nothing of the key. */
function isUnreached(error: unknown): boolean {
  return isBusError(error, 'READ_TOKEN_UNREACHED');
}

function asksMore(demand: ReadToken | undefined, own: ReadToken | undefined): boolean {
  return demand !== undefined && (own === undefined || !isReached(demand, own));
}

function hasReached(token: ReadToken, reply: ReadReply): boolean {
  return reply.watermark !== null && isReached(token, reply.watermark);
}
