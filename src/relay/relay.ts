import type { BusConfig } from '../config/bus-config.ts';
import { BusError, isBusError } from '../protocol/errors.ts';
import { FENCE_BUCKETS } from '../protocol/invalidation.ts';
import type { RulesNotice } from '../protocol/log-record.ts';
import type { SourceEpoch, SourceLife } from '../protocol/source-epoch.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { ParameterTypes } from './application-message.ts';
import { type AttemptEnd, type AttemptPorts, runAttempt } from './attempt.ts';
import type { Continuity } from './source-gap.ts';

/** Between two tries to take a slot that another relay holds. */
const STANDBY_RETRY_MS = 1000;
/** Between attempts that fail. */
const BACKOFF = { firstMs: 200, maxMs: 10_000 };
/** An attempt that lasted this long was no failure to start: the back-off begins anew. */
const STEADY_MS = 30_000;

export interface RelayFacts {
  readonly config: BusConfig;
  readonly parameterTypes: ParameterTypes;
  /** What is published of each family (see rule-text.ts). */
  readonly ruleTexts: ReadonlyMap<string, string>;
}

/**
 * Stage 1: from Postgres's log into the log of the bus. Any number may run on one source; the replication slot lets one of them work,
 * the others stand by and take over. Ends by drain or abort, or with an error that only an operator can answer.
 */
export class Relay {
  readonly name = 'relay';
  readonly #ports: AttemptPorts;
  readonly #facts: RelayFacts;
  readonly #random: () => number;
  readonly #drain = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  #failures = 0;
  /** Crashes of the source that an epoch in the log has answered. Until then each attempt begins a new epoch. */
  #crashesAnswered = 0;
  /** The highest number of a source epoch that is known to have been drawn. */
  #known = 0;
  /** The run of the server whose stream ended in order, and the first run seen since: any later one may follow a crash of that. */
  #cleanEnd: { readonly ofMs: number; nextMs?: number } | undefined;

  /** `random` gives numbers in [0, 1). */
  constructor(ports: AttemptPorts, facts: RelayFacts, random: () => number) {
    this.#ports = ports;
    this.#facts = facts;
    this.#random = random;
  }

  async run(stop: AbortSignal): Promise<void> {
    const pausing = AbortSignal.any([stop, this.#drain.signal]);
    try {
      while (!pausing.aborted) {
        const waitMs = await this.#attempt(stop);
        if (waitMs > 0) await this.#ports.clock.sleep(waitMs, pausing);
      }
    } finally {
      this.#ports.observer.state('stopped', 'ended');
      this.#ended.resolve();
    }
  }

  /** Sends and confirms what was read, gives the slot back, and ends `run`. */
  async drain(): Promise<void> {
    this.#ports.observer.state('draining', 'asked to end');
    this.#drain.abort();
    await this.#ended.promise;
  }

  /** One attempt. Returns how long to wait before the next; throws what no attempt can mend. */
  async #attempt(stop: AbortSignal): Promise<number> {
    const { observer, clock } = this.#ports;
    const startedAtMs = clock.monotonicMs();
    try {
      const end = await runAttempt(this.#ports, this.#attemptFacts(), this.#drain.signal, stop);
      observer.attemptEnded(end.outcome);
      return this.#afterEnd(end);
    } catch (error) {
      if (stop.aborted) return 0;
      observer.attemptEnded('failed', error);
      if (!isBusError(error) || error.retry === 'operator' || error.retry === 'never') throw error;
      return this.#afterFailure(error, clock.monotonicMs() - startedAtMs);
    }
  }

  #afterEnd(end: AttemptEnd): number {
    this.#failures = 0;
    this.#say('starting', 'the stream ended');
    if (end.outcome === 'clean' && end.epoch !== undefined) this.#cleanEnd = { ofMs: end.epoch.postmasterStartedAtMs };
    return BACKOFF.firstMs;
  }

  #afterFailure(error: BusError, lastedMs: number): number {
    if (error.code === 'POSTGRES_SLOT_ACTIVE') {
      this.#say('standby', 'another relay holds the slot');
      return STANDBY_RETRY_MS;
    }
    this.#say('starting', `${error.code}: ${error.message}`);
    this.#failures = lastedMs >= STEADY_MS ? 1 : this.#failures + 1;
    return backoffMs(this.#failures, BACKOFF, this.#random);
  }

  /** Says how the next attempt stands, unless there is to be none. */
  #say(state: 'starting' | 'standby', why: string): void {
    if (!this.#drain.signal.aborted) this.#ports.observer.state(state, why);
  }

  #attemptFacts(): Parameters<typeof runAttempt>[1] {
    let crashes = this.#crashesAnswered;
    return {
      ...this.#facts,
      rules: (partitions) => rulesNotice(this.#facts.ruleTexts, partitions),
      continuity: (highest, life) => {
        ({ crashes } = this.#ports.source);
        return this.#continuity(highest, life);
      },
      drawn: (number) => (this.#known = Math.max(this.#known, number)),
      // Whoever looks at the log from now on sees the epoch; before, another attempt must draw it again.
      epochLanded: () => (this.#crashesAnswered = crashes),
    };
  }

  #continuity(highest: SourceEpoch | undefined, life: SourceLife): Continuity {
    const end = this.#cleanEnd;
    if (end !== undefined && life.postmasterStartedAtMs !== end.ofMs) end.nextMs ??= life.postmasterStartedAtMs;
    const endedCleanly = highest?.postmasterStartedAtMs === end?.ofMs && life.postmasterStartedAtMs === end?.nextMs;
    return {
      known: this.#known,
      crashed: this.#ports.source.crashes > this.#crashesAnswered,
      endedCleanly,
      asynchronousCommits: this.#facts.config.source.asynchronousCommits,
    };
  }
}

function rulesNotice(ruleTexts: ReadonlyMap<string, string>, partitions: number): RulesNotice {
  return {
    partitions,
    bucketsPerCell: Math.floor(FENCE_BUCKETS / partitions),
    families: Object.fromEntries(ruleTexts),
  };
}
