import { BusError } from '../protocol/errors.ts';
import type { LeaseReading } from '../protocol/fill.ts';
import { judgeHit } from '../protocol/hit.ts';
import { isReached } from '../protocol/read-token.ts';
import { payloadOf, type StoredValue } from '../protocol/value-slot.ts';
import type { Entry, LeaseReply, ReadReply } from './cache-store.ts';
import { encodePayload, unpackPayload } from './codec.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import type { Flight } from './flight.ts';
import type { Place } from './gate.ts';
import type { Many } from './many.ts';
import type { Call } from './read-call.ts';
import { LeaseWait } from './lease-wait.ts';
import type { KeyParams, Loaded } from './origin.ts';
import { OwnLease } from './own-lease.ts';

/** How a flight begins. */
export type FillStart =
  /** Nothing stands in the way of a lease. */
  | { readonly kind: 'lease' }
  /** Another process loads: the reader saw its lease. */
  | { readonly kind: 'held' }
  /** No lease: Redis is away, the key is not to be read there, or what is loaded may not be stored. */
  | { readonly kind: 'through' };

/** A value that came while the lease was asked for is read again so many times; it may go as fast as it came. */
const LIVE_READS_MAX = 3;
/** A waiter waits a little longer than a lease can stand, so that he sees its end. */
const WAIT_MARGIN_MS = 100;

/**
 * One load of a key for all its callers in the process.
 *
 *     place at the gate ──▶ lease ─┬ leased ──▶ settle ──▶ load ──▶ judge ──▶ store, or give up
 *                                  ├ held ────▶ wait for that one lease ─┬ a value: done
 *                                  │                                     └ none: place, lease; held again: load without
 *                                  ├ live ────▶ read again
 *                                  └ lost, other rules, no answer ──▶ load without a lease: returned, not stored
 */
export class Fill {
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #entry: Entry;
  readonly #params: KeyParams;
  readonly #many: Many | undefined;
  readonly #flight: Flight;
  #hasWaited = false;
  #hasLoaded = false;
  #loadMs = 0;
  readonly #lease: OwnLease;

  constructor(core: CacheCore, context: FamilyContext, { entry, params, many }: Call, flight: Flight) {
    this.#core = core;
    this.#context = context;
    this.#entry = entry;
    this.#params = params;
    this.#many = many;
    this.#flight = flight;
    this.#lease = new OwnLease(core, context, entry, flight);
  }

  /** The payload. Throws the loader's error, `CACHE_LOAD_TIMEOUT` or `CACHE_OVERLOADED`. */
  async run(start: FillStart): Promise<string | null> {
    if (start.kind === 'held') {
      const value = await this.#waitFirst();
      if (value !== undefined) return this.#given(value);
    }
    for (let lives = 0; ; lives += 1) {
      const place = await this.#enter();
      try {
        if (start.kind === 'through') return await this.#through(place);
        const reply = await this.#lease.take(!this.#hasWaited);
        if (reply?.kind === 'leased') return await this.#leased(place, reply.reading);
        const isLast =
          this.#flight.kind === 'bypass' || (reply?.kind === 'held' ? this.#hasWaited : lives >= LIVE_READS_MAX);
        if (reply === undefined || reply.kind === 'lost' || reply.kind === 'rules' || isLast)
          return await this.#through(place);
        place.leave();
        const value =
          reply.kind === 'held'
            ? await this.#waitFor(new LeaseWait(this.#core, this.#entry.key), reply.token)
            : await this.#readAgain();
        if (value !== undefined) return this.#given(value);
      } finally {
        // From its beginning on it is the load that holds the place.
        if (!this.#hasLoaded) place.leave();
      }
    }
  }

  /** Loads behind a value past its time, if nobody else does. */
  async runBehind(): Promise<void> {
    const place = await this.#enter();
    try {
      const reply = await this.#lease.take(false);
      if (reply?.kind === 'leased') await this.#leased(place, reply.reading);
    } finally {
      if (!this.#hasLoaded) place.leave();
    }
  }

  #enter(): Promise<Place> {
    return (this.#many?.entrance ?? this.#core.gate).enter(this.#flight.signal);
  }

  /** Refreshes a value before its time is over, if there is a place at once, and nobody else does. */
  async runEarly(id: string): Promise<void> {
    const place = this.#core.gate.tryEnter();
    if (place === undefined) return;
    try {
      const reply = await this.#lease.take(false, id);
      if (reply?.kind !== 'leased') return;
      this.#core.counters.values.earlyLoads += 1;
      await this.#leased(place, reply.reading);
    } finally {
      if (!this.#hasLoaded) place.leave();
    }
  }

  /** Marks the lease that the reader saw, and waits. One that falls to us, since the other has ended, is given up: the gate comes first. */
  async #waitFirst(): Promise<StoredValue | undefined> {
    const wait = new LeaseWait(this.#core, this.#entry.key);
    let reply: LeaseReply | undefined;
    try {
      reply = await this.#lease.take(true);
      if (reply?.kind === 'held') return await this.#waitFor(wait, reply.token);
    } finally {
      wait.close();
    }
    if (reply?.kind === 'live') return this.#readAgain();
    if (reply?.kind === 'leased') this.#lease.giveUp();
    return undefined;
  }

  async #waitFor(wait: LeaseWait, token: string): Promise<StoredValue | undefined> {
    const { counters, limits } = this.#core;
    this.#hasWaited = true;
    this.#many?.decided?.();
    counters.values.waits += 1;
    const end = await wait
      .until(this.#entry, {
        token,
        staleMs: this.#context.family.staleMs,
        version: this.#context.family.version,
        limitMs: limits.loadTimeoutMs + WAIT_MARGIN_MS,
        accepts: (reply) => this.#accepts(reply),
        looking: (isLooking) => (isLooking ? this.#flight.seal() : this.#flight.unseal()),
        signal: this.#flight.signal,
      })
      .catch((error: unknown) => this.#lease.noAnswer(error))
      .finally(() => wait.close());
    if (end?.kind !== 'value') return undefined;
    counters.values.waitsAnswered += 1;
    return end.value;
  }

  async #readAgain(): Promise<StoredValue | undefined> {
    const { store } = this.#core;
    const { staleMs, version } = this.#context.family;
    this.#flight.seal();
    const reply = await store
      .read(this.#entry, { ttl: staleMs > 0, watermark: true })
      .catch((error: unknown) => this.#lease.noAnswer(error));
    if (reply !== undefined) {
      const verdict = judgeHit(reply, staleMs, version);
      if (verdict.kind === 'hit' && this.#accepts(reply)) return verdict.value;
    }
    this.#flight.unseal();
    return undefined;
  }

  #given(value: StoredValue): string | null {
    this.#many?.told?.('hit');
    this.#flight.readAtMs = value.readAtMs;
    return unpackPayload(payloadOf(value));
  }

  /** Whether a value that others stored will do for all who wait. */
  #accepts(reply: ReadReply): boolean {
    const { demand } = this.#flight;
    const { kept } = this.#core;
    if (reply.rule !== this.#context.rule.text || kept.distrusts(this.#entry.cell, reply.epoch)) return false;
    // Whoever has come since the eviction waits for this load too.
    if (kept.has(this.#entry.key)) return false;
    return demand === undefined || (reply.watermark !== null && isReached(demand, reply.watermark));
  }

  /** A load that cannot be stored. */
  async #through(place: Place): Promise<string | null> {
    this.#core.counters.values.readThrough += 1;
    const deadlineMs = this.#core.clock.monotonicMs() + this.#core.limits.loadTimeoutMs;
    // A lease that was asked for without an answer may be taken late, behind an eviction that this load does not know.
    this.#flight.token = undefined;
    const loaded = await this.#load(place, deadlineMs);
    return this.#encoded(loaded);
  }

  async #leased(place: Place, first: LeaseReading): Promise<string | null> {
    try {
      const reading = this.#context.readsPrimary ? await this.#lease.settled(first) : first;
      if (reading === undefined) return await this.#through(place);
      this.#flight.offset = reading.offset;
      const loaded = await this.#load(place, this.#lease.deadlineMs);
      const payload = this.#encoded(loaded);
      const outcome = await this.#lease.store(reading, loaded, payload, {
        loadMs: this.#loadMs,
        readAtMs: this.#flight.readAtMs,
      });
      this.#many?.told?.(outcome);
      return payload;
    } catch (error) {
      this.#lease.giveUp();
      throw error;
    }
  }

  async #load(place: Place, deadlineMs: number): Promise<Loaded> {
    const { family, origin } = this.#context;
    // Who waited may have left since the load was decided on, and a signal that is aborted already tells nobody any more.
    this.#flight.signal.throwIfAborted();
    this.#assertSameKey();
    this.#hasLoaded = true;
    this.#flight.begin();
    const { clock, loader } = this.#core;
    const beganMs = clock.monotonicMs();
    this.#flight.readAtMs = clock.nowMs();
    const order = {
      family: family.name,
      origin,
      params: this.#params,
      token: this.#flight.demand,
      deadlineMs,
      signal: this.#flight.signal,
      place,
    };
    const loaded = await (this.#many?.load?.(order) ?? loader.load(order));
    this.#loadMs = Math.max(1, Math.round(clock.monotonicMs() - beganMs));
    return loaded;
  }

  #encoded({ value }: Loaded): string | null {
    const { family, sampler } = this.#context;
    const payload = encodePayload(value, family);
    sampler?.loaded(this.#entry.key, this.#loadMs, payload?.length ?? 0);
    return payload;
  }

  /** The parameters are the caller's own object: had he changed it since, another key's value would be stored. */
  #assertSameKey(): void {
    const { rule, printer, family } = this.#context;
    if ((rule.text ?? '') !== this.#lease.ruleText || printer.keyOf(this.#params) === this.#entry.key) return;
    throw new BusError(
      'KEY_PARAMETER_INVALID',
      `The parameters of a key of family ${family.name} were changed while it was read.`,
    );
  }
}
