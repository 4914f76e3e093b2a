import type { BufferSet } from '../buffer/buffer-set.ts';
import type { Counter } from '../buffer/counter.ts';
import type { KeyValue, RowValue } from '../buffer/key-text.ts';
import type { RowBuffer } from '../buffer/row-buffer.ts';
import type { BusConfig } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { printReadToken, type ReadToken } from '../protocol/read-token.ts';
import { gateOf, type RegionGate } from '../protocol/region-gate.ts';
import type { Clock } from '../runtime/clock.ts';
import type { AfterWriteOptions } from './after-write.ts';
import { type Breaker, CircuitBreaker } from './breaker.ts';
import { CacheFamily } from './cache-family.ts';
import type { CacheStore } from './cache-store.ts';
import type { CacheCore } from './core.ts';
import { Endpoint, type EndpointOptions, type EndpointRequest } from './endpoint.ts';
import { Announcer, type EventListener } from './events.ts';
import { Failures } from './failures.ts';
import type { BufferName, BufferParams, BufferRowOf } from './buffers.ts';
import { type Families, type FamilyParams, type FamilyValue } from './families.ts';
import { type Fleet, FleetSize } from './fleet.ts';
import { Flights } from './flights.ts';
import { LoadGate } from './gate.ts';
import { HotKeys, type HotReadsSink } from './hot-keys.ts';
import { GuardedStore } from './guarded-store.ts';
import { KeptEvictions } from './kept-evictions.ts';
import { LastValues } from './last-values.ts';
import type { LeaseEnds } from './lease-ends.ts';
import { Loader } from './loader.ts';
import type { CacheLimits } from './options.ts';
import { type FamilyOptions, openFamily, type OriginPorts } from './open-family.ts';
import type { KeyParams } from './origin.ts';
import { Ongoing } from './ongoing.ts';
import type { Queryable } from './pool.ts';
import { type CacheStats, Counters } from './stats.ts';
import type { LocalTier } from './tier.ts';
import type { WritePorts } from './writing.ts';

/** What a cache is made of. Time, chance and every foreign system are given. */
export interface CachePorts extends OriginPorts, WritePorts {
  readonly config: BusConfig;
  readonly limits: CacheLimits;
  readonly store: CacheStore;
  readonly leaseEnds: LeaseEnds;
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly random: () => number;
  /** Unique in the fleet: letters and digits. */
  readonly process: string;
  readonly listener: EventListener;
  readonly breaker?: (changed: (state: Breaker['state']) => void) => Breaker;
  readonly tier?: LocalTier;
  /** Where it is told what is read most. Missing where that is not counted. */
  readonly hotReads?: HotReadsSink;
  /** What is written behind. Missing where the process has none. */
  readonly buffers?: BufferSet;
  /** The token of what was committed before the call. Missing where there is no pool of the primary and none is given. */
  readonly tokenOf?: (on: Queryable | undefined, options: AfterWriteOptions) => Promise<ReadToken>;
  /** The region's gate, as its Redis says now. */
  readonly gate?: () => Promise<RegionGate>;
  /** Told when Redis seems to be away: connections that only seem to stand are made anew. */
  readonly renew?: () => void;
  /** Tells the listener of each refusal that no command's answer tells: of a log-in, or of the channel of notices. */
  readonly refusals?: (listener: (error: BusError) => void) => void;
  /** Closes every connection, the one of `leaseEnds` too. */
  readonly disconnect: () => Promise<void>;
}

/** A region's cache, in one process of the application. */
export class Cache {
  readonly #ports: CachePorts;
  readonly #core: CacheCore;
  readonly #breaker: Breaker;
  readonly #fleet: FleetSize;
  readonly #opened = new Map<string, CacheFamily>();
  readonly #rules: ReadonlyMap<string, string>;
  readonly #closing = new AbortController();
  readonly #background: Promise<unknown>;
  #drained: Promise<void> | undefined;

  /** `rules` are the region's rule texts, as far as they are known. */
  constructor(ports: CachePorts, rules: ReadonlyMap<string, string>) {
    this.#ports = ports;
    this.#rules = rules;
    const { limits, clock, random } = ports;
    const counters = new Counters();
    const announcer = new Announcer(ports.listener, clock);
    const changed = (state: Breaker['state']): void => {
      if (state === 'open') {
        announcer.once('redis-away');
        ports.renew?.();
      } else if (state === 'closed' && announcer.over('redis-away')) announcer.say('redis-back');
      this.#core.gate.pump();
    };
    this.#breaker = ports.breaker?.(changed) ?? new CircuitBreaker(limits, changed);
    this.#fleet = new FleetSize(ports.fleet, ports.process, (error) => announcer.redisFailed(error));
    ports.refusals?.((error) => announcer.redisFailed(error));
    const store = new GuardedStore(ports.store, this.#breaker);
    const families = [...ports.config.families.values()];
    const flights = new Flights();
    const hotKeys =
      ports.hotReads === undefined
        ? undefined
        : new HotKeys({
            sink: ports.hotReads,
            process: ports.process,
            clock,
            random,
            fleet: () => this.#fleet.known,
            isAway: () => store.isAway,
          });
    let tokens = 0;
    this.#core = {
      limits,
      cells: ports.config.log.partitions,
      store,
      leaseEnds: ports.leaseEnds,
      clock,
      random,
      newToken: () => `${ports.process}${(tokens++).toString(36)}`,
      counters,
      announcer,
      gate: new LoadGate(limits, () => this.#loadsMax(), clock),
      flights,
      ongoing: new Ongoing(flights),
      failures: new Failures(limits.failureMemoryMs, clock, random),
      lastValues: new LastValues(limits.lastValuesMax, clock),
      kept: new KeptEvictions({
        clock,
        random,
        counters,
        announcer,
        keptEvictionsMax: limits.keptEvictionsMax,
        longestLifeMs: limits.loadTimeoutMs + Math.max(0, ...families.map(({ ttlMs, staleMs }) => ttlMs + staleMs)),
        send: async (entries) => store.evict(entries),
        signal: this.#closing.signal,
      }),
      loader: new Loader({
        clock,
        counters,
        announcer,
        loadTimeoutMs: limits.loadTimeoutMs,
        closing: this.#closing.signal,
      }),
      tier: ports.tier,
      hotKeys,
      closing: this.#closing.signal,
      isClosed: () => this.#drained !== undefined,
    };
    this.#background = Promise.all([this.#fleet.run(clock, this.#closing.signal), hotKeys?.run(this.#closing.signal)]);
  }

  /** Opens a family. Throws `CACHE_FAMILY_UNKNOWN`, `CACHE_LOADER_MISSING` or `CACHE_LOADER_TWICE`. */
  // oxlint-disable-next-line typescript/no-redundant-type-constituents -- the application names the families
  family<N extends keyof Families & string>(
    name: N,
    options?: FamilyOptions<FamilyValue<N>, FamilyParams<N>>,
  ): CacheFamily<FamilyValue<N>, FamilyParams<N>>;
  family<T = unknown, P extends object = KeyParams>(name: string, options?: FamilyOptions<T, P>): CacheFamily<T, P>;
  family(name: string, options?: FamilyOptions<unknown, KeyParams>): unknown {
    const { config } = this.#ports;
    const family = config.families.get(name);
    if (family === undefined)
      throw new BusError(
        'CACHE_FAMILY_UNKNOWN',
        `The file has no family "${name}"; its families: ${[...config.families.keys()].join(', ')}.`,
      );
    const known = this.#opened.get(name);
    if (known !== undefined && options?.load === undefined && options?.loadMany === undefined) return known;
    if (known !== undefined)
      throw new BusError(
        'CACHE_LOADER_TWICE',
        `Family ${name} is open already: pass its loader once, and share what was returned.`,
      );
    const opened = openFamily(this.#core, this.#ports, family, this.#rules.get(name), options);
    this.#opened.set(name, opened);
    return opened;
  }

  /**
   * An endpoint that answers by a read of a family, with Cache-Control, ETag and Age: its `fastify` and its `express` are handlers. A family with a loader
   * of the application is opened before. Throws as `family` does, and `CACHE_OPTION_INVALID`.
   */
  // oxlint-disable-next-line typescript/no-redundant-type-constituents -- the application names the families
  route<N extends keyof Families & string, R = EndpointRequest>(
    options: EndpointOptions<FamilyValue<N>, FamilyParams<N>, R> & { readonly family: N },
  ): Endpoint<FamilyValue<N>, FamilyParams<N>, R>;
  route<T, P extends object, R = EndpointRequest>(
    options: EndpointOptions<T, NoInfer<P>, R> & { readonly family: CacheFamily<T, P> },
  ): Endpoint<T, P, R>;
  route<T = unknown, P extends object = KeyParams, R = EndpointRequest, N extends string = string>(
    options: EndpointOptions<T, P, R> & { readonly family: Exclude<N, keyof Families> },
  ): Endpoint<T, P, R>;
  route(options: EndpointOptions<unknown, object, never> & { readonly family: string | CacheFamily<unknown, object> }) {
    const family = typeof options.family === 'string' ? this.family<unknown, object>(options.family) : options.family;
    if (!(family instanceof CacheFamily))
      throw new BusError('CACHE_OPTION_INVALID', "A route's family is its name, or what `cache.family` returned.");
    return new Endpoint(family, options, this.#ports.config.families.get(family.name)?.staleMs ?? 0);
  }

  /** A counter of the file that is written behind. Throws `BUFFER_UNKNOWN`. */
  counter<N extends BufferName<'counter'>>(name: N): Counter<BufferParams<N>>;
  counter<P extends object = Readonly<Record<string, KeyValue>>>(name: string): Counter<P>;
  counter(name: string): unknown {
    return this.#buffers().counter(name);
  }

  /** A buffer of rows of the file that is written behind. Throws `BUFFER_UNKNOWN`. */
  buffer<N extends BufferName<'buffer'>>(name: N): RowBuffer<BufferParams<N>, BufferRowOf<N>>;
  buffer<P extends object = Readonly<Record<string, KeyValue>>, R extends object = Readonly<Record<string, RowValue>>>(
    name: string,
  ): RowBuffer<P, R>;
  buffer(name: string): unknown {
    return this.#buffers().buffer(name);
  }

  /**
   * What a read must have seen that comes after a write: to be passed to `get` as `token`. Takes the write's client after its COMMIT, or a pool of the
   * primary; default the one that the cache has.
   */
  async afterWrite(on?: Queryable, options: AfterWriteOptions = {}): Promise<string> {
    const { tokenOf } = this.#ports;
    if (tokenOf === undefined)
      throw new BusError(
        'CACHE_OPTION_INVALID',
        'afterWrite asks the database: pass the application’s pools as `postgres`.',
      );
    return printReadToken(await tokenOf(on, options));
  }

  /**
   * Whether the region is warm, and which share of the traffic may come: as its Redis says now. A region that was never warmed is `COLD`; nothing in the
   * library acts by it. Rejects with a `BusError` where Redis does not answer.
   */
  async regionState(): Promise<RegionGate> {
    const { gate } = this.#ports;
    if (this.#drained !== undefined) throw new BusError('CACHE_CLOSED', 'The cache has been drained.');
    return gate === undefined ? gateOf(null, this.#ports.config.warmup.ramp) : gate();
  }

  /** What was counted since the start, and how things are now. */
  stats(): CacheStats {
    const { counters, gate, kept } = this.#core;
    return {
      ...counters.values,
      refusals: { ...counters.refusals },
      loadsUnderWay: gate.inside,
      loadsWaiting: gate.waiting,
      evictionsWaiting: kept.size,
      redis: this.#breaker.state,
      fleet: this.#fleet.known,
      buffers: this.#ports.buffers?.stats() ?? {},
    };
  }

  /**
   * Lets what is under way end and sends the evictions and the buffered calls that wait, for so long as `drainWaitMs` says; then closes the
   * connections. Reads, evictions and calls to buffers after it reject with `CACHE_CLOSED`.
   */
  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  /** While Redis is away nobody sees what others load, so a process keeps to its share. */
  #loadsMax(): number {
    const { loadsMax, fleetLoadsMax } = this.#ports.limits;
    if (this.#breaker.state === 'closed') return loadsMax;
    return Math.max(1, Math.min(loadsMax, Math.floor(fleetLoadsMax / this.#fleet.known)));
  }

  #buffers(): BufferSet {
    const { buffers } = this.#ports;
    if (buffers === undefined) throw new BusError('BUFFER_UNKNOWN', 'This process has no buffers.');
    return buffers;
  }

  async #drain(): Promise<void> {
    const { clock, limits } = this.#ports;
    const late = new AbortController();
    const buffered = this.#ports.buffers?.drain(late.signal);
    const over = new AbortController();
    const { flights, kept, ongoing } = this.#core;
    // An eviction that is kept goes on being sent, and nothing that is under way evicts again.
    const ended = ongoing
      .ended()
      .then(() => Promise.all([kept.sent(), buffered]))
      .then(() => over.abort());
    await Promise.race([ended, clock.sleep(limits.drainWaitMs, over.signal)]);
    late.abort();
    const closed = new BusError('CACHE_CLOSED', 'The cache was drained before the load had ended.');
    for (const flight of flights.all) flight.abort(closed);
    this.#closing.abort(closed);
    await Promise.all([ongoing.ended(), buffered]);
    await this.#background;
    kept.drop();
    await this.#ports.disconnect();
  }
}
