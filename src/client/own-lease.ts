import { isSettledOnPrimary, judgeFill, type LeaseReading } from '../protocol/fill.ts';
import type { Entry, LeaseReply } from './cache-store.ts';
import type { CacheCore } from './core.ts';
import type { FamilyContext } from './family-context.ts';
import type { Flight } from './flight.ts';
import type { Loaded } from './origin.ts';
import type { Refusal } from './stats.ts';
import { type LoadTimes, storedForm } from './stored-form.ts';

/** Between two readings while a load waits for the primary. */
const SETTLE_LOOK_MS = 1;

/** The lease of a flight: taken, read again until the primary has settled, and ended by a store or given up. */
export class OwnLease {
  readonly #core: CacheCore;
  readonly #context: FamilyContext;
  readonly #entry: Entry;
  readonly #flight: Flight;
  /** By which the key was printed: what a later one's lease would allow may stand under another key. */
  readonly #ruleText: string;
  #deadlineMs = 0;
  #early: string | undefined;

  constructor(core: CacheCore, context: FamilyContext, entry: Entry, flight: Flight) {
    this.#core = core;
    this.#context = context;
    this.#entry = entry;
    this.#flight = flight;
    this.#ruleText = context.rule.text ?? '';
  }

  get ruleText(): string {
    return this.#ruleText;
  }

  /** By the monotonic clock, when the lease last asked for is over. */
  get deadlineMs(): number {
    return this.#deadlineMs;
  }

  /** Undefined where Redis gives no answer. `early` is the id of a live value that is refreshed before its time. */
  async take(waits: boolean, early?: string): Promise<LeaseReply | undefined> {
    const { clock, limits, newToken } = this.#core;
    this.#flight.token = newToken();
    this.#deadlineMs = clock.monotonicMs() + limits.loadTimeoutMs;
    this.#early = early;
    return this.#askLease(waits);
  }

  async #askLease(waits: boolean): Promise<LeaseReply | undefined> {
    const { limits, store } = this.#core;
    const request = {
      token: this.#flight.token ?? '',
      leaseMs: limits.loadTimeoutMs,
      rule: this.#ruleText,
      staleMs: this.#context.family.staleMs,
      version: this.#context.family.version,
      waits,
      ...(this.#early === undefined ? {} : { early: this.#early }),
    };
    return store.lease(this.#entry, request).catch((error: unknown) => this.noAnswer(error));
  }

  /** Reads again, under the same lease, until the primary shows all that the key is fenced by; undefined where the lease went to another. */
  async settled(first: LeaseReading): Promise<LeaseReading | undefined> {
    const { clock, limits } = this.#core;
    const untilMs = clock.monotonicMs() + limits.settleWaitMs;
    let reading = first;
    while (!isSettledOnPrimary(reading) && clock.monotonicMs() < untilMs) {
      await clock.sleep(SETTLE_LOOK_MS, this.#flight.signal);
      this.#flight.signal.throwIfAborted();
      const reply = await this.#askLease(false);
      if (reply?.kind !== 'leased') return undefined;
      reading = reply.reading;
    }
    return reading;
  }

  async store(
    reading: LeaseReading,
    loaded: Loaded,
    payload: string | null,
    times: LoadTimes,
  ): Promise<'stored' | Refusal> {
    const { counters, announcer, store, random } = this.#core;
    const { family, printer } = this.#context;
    const verdict = judgeFill(reading, loaded.evidence);
    if (verdict.kind === 'refuse') {
      counters.refused(verdict.why);
      this.giveUp();
      return verdict.why;
    }
    if (payload === null && family.absentMs === 0) {
      counters.refused('absence');
      this.#forgo();
      return 'absence';
    }
    const tags = printer.tagMarksOf(loaded.value);
    if (tags.kind === 'unfit') {
      counters.refused('label');
      counters.values.labelsMissing += 1;
      announcer.once('label-missing', { family: family.name, detail: `${tags.label}: column ${tags.column}` });
      this.giveUp();
      return 'label';
    }
    const token = this.#flight.token ?? '';
    const request = {
      token,
      epoch: reading.epoch,
      offset: reading.offset,
      bound: verdict.bound,
      rule: this.#ruleText,
      tagMarks: tags.marks,
      ...storedForm(family, payload, times, random()),
      // A lease stores once, so its token is as unique.
      id: token,
    };
    const reply = await store.store(this.#entry, request).catch((error: unknown) => this.noAnswer(error));
    if (reply === undefined) {
      counters.refused('unreachable');
      this.giveUp();
      return 'unreachable';
    }
    if (reply.kind === 'stored') {
      counters.values.stored += 1;
      return 'stored';
    }
    counters.refused(reply.why);
    return reply.why;
  }

  /** Ends the lease, behind the answer. */
  giveUp(): void {
    const { token } = this.#flight;
    if (token !== undefined) this.#core.ongoing.goOn(this.#core.store.giveUp(this.#entry, token));
  }

  /** Ends the lease of what is not there and is not kept either. A value that lay under it stands for nothing any more. */
  #forgo(): void {
    const { ongoing, store } = this.#core;
    const { family } = this.#context;
    this.giveUp();
    if (family.staleMs > 0 || family.early > 0) ongoing.goOn(store.evict([this.#entry]));
  }

  /** What Redis does not answer, the load answers. */
  noAnswer(error: unknown): undefined {
    if (this.#flight.signal.aborted) throw error;
    this.#core.counters.values.redisFailures += 1;
    this.#core.announcer.redisFailed(error, this.#context.family.name);
    return undefined;
  }
}
