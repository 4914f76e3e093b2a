import { printReadToken } from '../protocol/read-token.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import type { Place } from './gate.ts';
import type { LoadOrder } from './loader.ts';
import type { Many } from './many.ts';
import type { KeyLoad, Loaded, LoadManyOrigin, LoadRequest } from './origin.ts';
import { unlessAborted } from './unless-aborted.ts';

/** Misses that come after the others, such as those that waited for another process in vain, are gathered for so long. */
const LATE_GATHER_MS = 1;

interface Arrived {
  readonly index: number;
  readonly order: LoadOrder;
  readonly settle: PromiseWithResolvers<Loaded>;
}

/**
 * The misses of one getMany as one call of the origin: the application's `loadMany`, or one statement. Each has its own lease and is stored under it;
 * they share the place at the gate, and the call.
 *
 *     read ─┬ hit, joins, waits ──▶ decided
 *           └ miss ──▶ place, lease, settled ──▶ arrived        once all are one or the other: loadMany
 */
export class ManyLoad {
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #origin: LoadManyOrigin;
  readonly #took: ((ms: number) => void) | undefined;
  readonly #undecided = new Set<number>();
  #place: Promise<Place> | undefined;
  #shares = 0;
  #arrived: Arrived[] = [];
  #isFirst = true;
  #isDue = false;

  /** `took` is told what each call of the origin has taken, in milliseconds. */
  constructor(core: CacheCore, context: FamilyContext, origin: LoadManyOrigin, took?: (ms: number) => void) {
    this.#core = core;
    this.#context = context;
    this.#origin = origin;
    this.#took = took;
  }

  /** Called for each before any is read. */
  of(index: number): Many & { readonly decided: () => void } {
    this.#undecided.add(index);
    return {
      entrance: { enter: (signal) => this.#enter(signal) },
      load: (order) => this.#arrive(index, order),
      decided: () => this.#decide(index),
    };
  }

  /** A share of the one place. */
  async #enter(signal: AbortSignal): Promise<Place> {
    const { gate, closing } = this.#core;
    this.#shares += 1;
    // Whoever leaves leaves alone.
    const entering = (this.#place ??= gate.enter(closing));
    let isLeft = false;
    const leave = (): void => {
      if (isLeft) return;
      isLeft = true;
      this.#shares -= 1;
      if (this.#shares > 0) return;
      this.#place = undefined;
      void entering.then((place) => place.leave()).catch(() => undefined);
    };
    try {
      await unlessAborted(entering, signal);
      return { leave };
    } catch (error) {
      leave();
      throw error;
    }
  }

  #arrive(index: number, order: LoadOrder): Promise<Loaded> {
    const settle = Promise.withResolvers<Loaded>();
    // The caller may change his object until the others have come.
    this.#arrived.push({ index, order: { ...order, params: { ...order.params } }, settle });
    this.#decide(index);
    return unlessAborted(settle.promise, order.signal);
  }

  #decide(index: number): void {
    this.#undecided.delete(index);
    if (this.#undecided.size > 0 || this.#isDue) return;
    // What comes from now on is late: what was waited for, and reloads behind values past their time.
    if (this.#arrived.length === 0) this.#isFirst = false;
    if (this.#arrived.length === 0) return;
    this.#isDue = true;
    if (this.#isFirst) return this.#begin();
    const { clock, closing } = this.#core;
    void clock.sleep(LATE_GATHER_MS, closing).then(() => this.#begin());
  }

  #begin(): void {
    const arrived = this.#arrived.toSorted((a, b) => a.index - b.index);
    this.#arrived = [];
    this.#isDue = false;
    this.#isFirst = false;
    const wanted = arrived.filter(({ order }) => !order.signal.aborted);
    for (const { order } of arrived) if (order.signal.aborted) order.place.leave();
    // What one of them demands to have seen might send all to the primary.
    for (const alike of byToken(wanted)) void this.#load(alike);
  }

  async #load(wanted: readonly Arrived[]): Promise<void> {
    const { loader, clock } = this.#core;
    const orders = wanted.map(({ order }) => order);
    const params = orders.map((order) => order.params);
    let loads: readonly KeyLoad[] = [];
    const loadMany = async (request: LoadRequest): Promise<Loaded> => {
      const beganMs = clock.monotonicMs();
      try {
        loads = await this.#origin.loadMany(params, request);
      } finally {
        this.#took?.(clock.monotonicMs() - beganMs);
      }
      return NOTHING;
    };
    try {
      await loader.load({
        family: this.#context.family.name,
        origin: { load: (_, request) => loadMany(request) },
        params: {},
        token: orders[0]?.token,
        deadlineMs: Math.min(...orders.map(({ deadlineMs }) => deadlineMs)),
        signal: whenAllAbort(orders.map(({ signal }) => signal)),
        place: { leave: () => orders.forEach(({ place }) => place.leave()) },
      });
      wanted.forEach(({ settle }, i) => {
        const load = loads[i];
        if (load?.kind === 'loaded') settle.resolve(load.loaded);
        else settle.reject(load?.error);
      });
    } catch (error) {
      for (const { settle } of wanted) settle.reject(error);
    }
  }
}

/** What each key has is by position, beside it. */
const NOTHING: Loaded = { value: null, evidence: { kind: 'none' } };

/** In the order of their places. */
function byToken(arrived: readonly Arrived[]): Iterable<readonly Arrived[]> {
  const tokenOf = ({ order: { token } }: Arrived): string => (token === undefined ? '' : printReadToken(token));
  return Map.groupBy(arrived, tokenOf).values();
}

/** Aborted when nobody wants any of it. */
function whenAllAbort(signals: readonly AbortSignal[]): AbortSignal {
  const all = new AbortController();
  let left = signals.length;
  for (const signal of signals) {
    const gone = (): void => {
      left -= 1;
      if (left === 0) all.abort(signal.reason);
    };
    if (signal.aborted) gone();
    else signal.addEventListener('abort', gone, { once: true });
  }
  return all.signal;
}
