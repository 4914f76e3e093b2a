import { BusError, isBusError } from '../protocol/errors.ts';
import { isReached, type ReadToken } from '../protocol/read-token.ts';
import { decodePayload, unpackPayload } from './codec.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import { Fill, type FillStart } from './fill.ts';
import type { Flight, FlightKind, SeenLease } from './flight.ts';
import type { Call } from './read-call.ts';
import { leastLeftMs } from './told.ts';

/** The loads of a family that its reads wait for, or set off behind a value past its time. */
export class Loads {
  readonly #core: CacheCore;
  readonly #context: FamilyContext;

  constructor(core: CacheCore, context: FamilyContext) {
    this.#core = core;
    this.#context = context;
  }

  /** Every read that no value in the cache answers comes here, once. */
  answer(call: Call, start: FillStart, seen?: SeenLease, kind: FlightKind = 'answer'): Promise<unknown> {
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
    const hasJoined = flight !== undefined;
    if (flight !== undefined) {
      counters.values.joins += 1;
      call.many?.decided?.();
    } else {
      // Without leases one load of a key follows another: so a key's readers are one load at a time to the database.
      const before = start.kind === 'through' ? flights.last(key) : undefined;
      const started = (flight = flights.start(key, call.token, kind));
      const fill = this.#fill(call, started);
      void this.#fly(started, async () => {
        if (before !== undefined) call.many?.decided?.();
        await before?.result.catch(() => undefined);
        return fill.run(start);
      });
    }
    try {
      const payload = await flight.join(call.signal);
      this.#tell(call, payload, flight.readAtMs);
      return decodePayload(payload);
    } catch (error) {
      // What another caller demanded, who came to the same load, is no error of this one.
      if (!isAlone && isOfOneCaller(error) && (hasJoined || asksMore(flight.demand, call.token)))
        return this.#joinLoad(call, start, seen, kind, true);
      return this.#lastValue(call, error);
    }
  }

  /** Loads behind a value that is served, where nobody in this process does: past its time, or, where its id is given, before. */
  behind(call: Call, early?: string): void {
    const { flights, failures, ongoing, closing } = this.#core;
    const { key } = call.entry;
    if (closing.aborted || flights.last(key) !== undefined || failures.of(key) !== undefined) return;
    const flight = flights.start(key, undefined, 'behind');
    const fill = this.#fill(call, flight);
    ongoing.goOn(
      this.#fly(flight, () => (early === undefined ? fill.runBehind() : fill.runEarly(early)).then(() => null)),
    );
  }

  #fill(call: Call, flight: Flight): Fill {
    return new Fill(this.#core, this.#context, call, flight);
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
      if (!isOwn && !isOfOneCaller(error)) failures.remember(flight.key, error);
      flight.fail(error);
    }
  }

  #tell({ told }: Call, payload: string | null, readAtMs: number | undefined): void {
    if (told === undefined) return;
    told.payload = unpackPayload(payload);
    told.readAtMs = readAtMs;
    told.leftMs = leastLeftMs(this.#context.family, payload === null, readAtMs, this.#core.clock.nowMs());
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
    this.#tell(call, last.payload, last.readAtMs);
    // Nobody can say that its time is not over.
    if (call.told !== undefined) call.told.leftMs = Math.min(0, call.told.leftMs);
    return decodePayload(last.payload);
  }
}

/** Token and parameters are the caller’s, who may have them from anywhere: that they will not do says nothing of the key. */
function isOfOneCaller(error: unknown): boolean {
  return isBusError(error, 'READ_TOKEN_UNREACHED') || isBusError(error, 'KEY_PARAMETER_INVALID');
}

function asksMore(demand: ReadToken | undefined, own: ReadToken | undefined): boolean {
  return demand !== undefined && (own === undefined || !isReached(demand, own));
}
