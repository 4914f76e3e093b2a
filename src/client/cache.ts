import type { BusConfig, Family } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { printReadToken, type ReadToken } from '../protocol/read-token.ts';
import type { Clock } from '../runtime/clock.ts';
import type { AfterWriteOptions } from './after-write.ts';
import { type Breaker, CircuitBreaker } from './breaker.ts';
import { CacheFamily } from './cache-family.ts';
import type { CacheStore } from './cache-store.ts';
import type { CacheCore } from './core.ts';
import { Announcer, type EventListener } from './events.ts';
import type { FamilyContext } from './family-context.ts';
import { FamilyRule } from './family-rule.ts';
import { Failures } from './failures.ts';
import { type Families, type FamilyParams, type FamilyValue } from './families.ts';
import { type Fleet, FleetSize } from './fleet.ts';
import { Flights } from './flights.ts';
import { LoadGate } from './gate.ts';
import { GuardedStore } from './guarded-store.ts';
import { KeptEvictions } from './kept-evictions.ts';
import { KeyPrinter } from './key-printer.ts';
import { LastValues } from './last-values.ts';
import type { LeaseEnds } from './lease-ends.ts';
import { Loader } from './loader.ts';
import { type Load, LoaderOrigin } from './loader-origin.ts';
import type { CacheLimits } from './options.ts';
import type { KeyParams, Origin } from './origin.ts';
import type { Queryable } from './pool.ts';
import { Reading } from './reading.ts';
import { type CacheStats, Counters } from './stats.ts';
import type { LocalTier } from './tier.ts';

/** What a cache is made of. Time, chance and every foreign system are given. */
export interface CachePorts {
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
  /** The origin of a family with a `source`. Missing where the application has given no pools. */
  readonly sourceOrigin?: (family: Family, rule: FamilyRule) => Origin;
  /** False where the application has given no pool of a replica: families that would read one read the primary. Default true. */
  readonly hasReplica?: boolean;
  /** The token of what was committed before the call. Missing where there is no pool of the primary and none is given. */
  readonly tokenOf?: (on: Queryable | undefined, options: AfterWriteOptions) => Promise<ReadToken>;
  /** Told when Redis seems to be away: connections that only seem to stand are made anew. */
  readonly renew?: () => void;
  readonly disconnect: () => Promise<void>;
}

export interface FamilyOptions<T, P> {
  /** The family's loader, where the file names no `source`. */
  readonly load?: Load<T, P>;
  /** Declares that the loader reads the primary: only then is what it loads stored. */
  readonly reads?: 'primary';
}

/** A region's cache, in one process of the application. */
export class Cache {
  readonly #ports: CachePorts;
  readonly #core: CacheCore;
  readonly #breaker: Breaker;
  readonly #fleet: FleetSize;
  readonly #opened = new Map<string, CacheFamily>();
  readonly #rules: ReadonlyMap<string, string>;
  readonly #behind = new Set<Promise<unknown>>();
  readonly #closing = new AbortController();
  readonly #background: Promise<void>;
  #drained: Promise<void> | undefined;

  /** `rules` are the region's rule texts, as far as they are known. */
  constructor(ports: CachePorts, rules: ReadonlyMap<string, string>) {
    this.#ports = ports;
    this.#rules = rules;
    const { limits, clock, random } = ports;
    const counters = new Counters();
    const announcer = new Announcer(ports.listener);
    const changed = (state: Breaker['state']): void => {
      if (state === 'open') {
        announcer.once('redis-away');
        ports.renew?.();
      } else if (state === 'closed' && announcer.over('redis-away')) announcer.say('redis-back');
      this.#core.gate.pump();
    };
    this.#breaker = ports.breaker?.(changed) ?? new CircuitBreaker(limits, changed);
    this.#fleet = new FleetSize(ports.fleet, ports.process);
    const store = new GuardedStore(ports.store, this.#breaker);
    const families = [...ports.config.families.values()];
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
      flights: new Flights(),
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
      loader: new Loader({ clock, counters, announcer, loadTimeoutMs: limits.loadTimeoutMs }),
      tier: ports.tier,
      behind: (work) => this.#goOn(work),
      closing: this.#closing.signal,
      isClosed: () => this.#drained !== undefined,
    };
    this.#background = this.#fleet.run(clock, this.#closing.signal);
  }

  /** Opens a family. Throws `CACHE_FAMILY_UNKNOWN`, `CACHE_LOADER_MISSING` or `CACHE_LOADER_TWICE`. */
  // oxlint-disable-next-line typescript/no-redundant-type-constituents -- the application names the families
  family<N extends keyof Families & string>(
    name: N,
    options?: FamilyOptions<FamilyValue<N>, FamilyParams<N>>,
  ): CacheFamily<FamilyValue<N>, FamilyParams<N>>;
  family<T = unknown, P extends object = KeyParams>(name: string, options?: FamilyOptions<T, P>): CacheFamily<T, P>;
  family(name: string, options?: object): unknown {
    const { config } = this.#ports;
    const family = config.families.get(name);
    if (family === undefined)
      throw new BusError(
        'CACHE_FAMILY_UNKNOWN',
        `The file has no family "${name}"; its families: ${[...config.families.keys()].join(', ')}.`,
      );
    const known = this.#opened.get(name);
    if (known !== undefined && (options === undefined || !('load' in options))) return known;
    if (known !== undefined)
      throw new BusError(
        'CACHE_LOADER_TWICE',
        `Family ${name} is open already: pass its loader once, and share what was returned.`,
      );
    const opened = this.#open(family, options);
    this.#opened.set(name, opened);
    return opened;
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
    };
  }

  /** Lets what is under way end, for so long as `drainWaitMs` says, and closes the connections. Calls after it throw `CACHE_CLOSED`. */
  drain(): Promise<void> {
    this.#drained ??= this.#drain();
    return this.#drained;
  }

  #open(family: Family, options: FamilyOptions<unknown, KeyParams> | undefined): CacheFamily {
    const { name, source, reads } = family;
    const load = options?.load;
    if (load !== undefined && source !== undefined)
      throw new BusError(
        'CACHE_LOADER_TWICE',
        `Family ${name} has a source in the file: take it out, or pass no load.`,
      );
    const rule = new FamilyRule(family);
    const origin = load === undefined ? this.#sourceOrigin(family, rule) : new LoaderOrigin(load, options?.reads);
    const context: FamilyContext = {
      family,
      rule,
      printer: new KeyPrinter(family, rule, this.#core.cells),
      origin,
      isProven: load === undefined || options?.reads === 'primary',
      readsPrimary:
        load === undefined ? reads === 'primary' || this.#ports.hasReplica === false : options?.reads === 'primary',
    };
    if (!context.isProven) this.#core.announcer.once('unproven', { family: name });
    const reading = new Reading(this.#core, context);
    const text = this.#rules.get(name);
    if (text !== undefined) reading.learn(text);
    return new CacheFamily(this.#core, context, reading);
  }

  #sourceOrigin(family: Family, rule: FamilyRule): Origin {
    const { name, source } = family;
    if (source === undefined)
      throw new BusError(
        'CACHE_LOADER_MISSING',
        `Family ${name} has no source in the file: pass its loader as \`load\`.`,
      );
    const origin = this.#ports.sourceOrigin?.(family, rule);
    if (origin === undefined)
      throw new BusError(
        'CACHE_LOADER_MISSING',
        `Family ${name} is loaded by its source in the file: pass the application’s pools as \`postgres\`.`,
      );
    return origin;
  }

  /** While Redis is away nobody sees what others load, so a process keeps to its share. */
  #loadsMax(): number {
    const { loadsMax, fleetLoadsMax } = this.#ports.limits;
    if (this.#breaker.state === 'closed') return loadsMax;
    return Math.max(1, Math.min(loadsMax, Math.floor(fleetLoadsMax / this.#fleet.known)));
  }

  #goOn(work: Promise<unknown>): void {
    const done: Promise<unknown> = work.catch(() => undefined).finally(() => this.#behind.delete(done));
    this.#behind.add(done);
  }

  async #drain(): Promise<void> {
    const { clock, limits } = this.#ports;
    const over = new AbortController();
    const ended = this.#allEnded().then(() => over.abort());
    await Promise.race([ended, clock.sleep(limits.drainWaitMs, over.signal)]);
    const closed = new BusError('CACHE_CLOSED', 'The cache was drained before the load had ended.');
    for (const flight of this.#core.flights.all) flight.abort(closed);
    await Promise.allSettled([...this.#core.flights.all.map(({ result }) => result), ...this.#behind]);
    this.#closing.abort();
    await this.#background;
    await Promise.allSettled([this.#ports.leaseEnds.close()]);
    await this.#ports.disconnect();
  }

  /** What ends may leave something behind it. */
  async #allEnded(): Promise<void> {
    for (;;) {
      const work = [...this.#core.flights.all.map(({ result }) => result), ...this.#behind];
      if (work.length === 0) return;
      await Promise.allSettled(work);
    }
  }
}
