import { isBusError } from '../protocol/errors.ts';
import type { Clock } from '../runtime/clock.ts';
import { electionStep, type ElectionTiming, type Sighting, sighted } from './election.ts';
import type { LeaderPermit } from './leader-permit.ts';
import type { LeaderRecord, LeaderRecords, LeaderSeat, RecordWrite, StoredRecord } from './leader-record.ts';

export interface LeadershipParts {
  /** Of this process alone, and of no later one: a restarted process is another candidate. */
  readonly identity: string;
  readonly records: LeaderRecords;
  readonly timing: ElectionTiming;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: LeadershipObserver;
}

export interface LeadershipObserver {
  leading(token: number): void;
  /** Another leads, or nobody. */
  following(holder: string): void;
  electionFailed(error: unknown): void;
}

/** A term: the record is ours, and its last renewal was sent then. */
interface Term {
  readonly token: number;
  readonly sentMs: number;
}

/** Up to a fifth more between two tries, so that candidates do not meet for ever. */
const JITTER = 0.2;

/**
 * Takes the leader lease, keeps it, and says whether it may be acted under.
 *
 * A renewal counts from when it was *sent*: its answer may be late, and others count from when they saw it, which is later still. A renewal
 * whose answer was lost counts for nothing here, though it may have been written: that only makes others wait.
 *
 * A process that was stopped and goes on does not need to notice: `permit` asks the clock each time.
 */
export class Leadership implements LeaderSeat {
  readonly #parts: LeadershipParts;
  #sighting: Sighting | undefined;
  #term: Term | undefined;
  #told: string | undefined;
  #heardMs: number | undefined;
  /** The highest token that was met. */
  #metToken = 0;

  constructor(parts: LeadershipParts) {
    this.#parts = parts;
  }

  /** When the API server last said anything of the record, by the monotonic clock. */
  get heardMs(): number | undefined {
    return this.#heardMs;
  }

  permit(): LeaderPermit | undefined {
    const term = this.#term;
    if (term === undefined || this.#remainingMs(term.token) <= 0) return undefined;
    return { token: term.token, remainingMs: () => this.#remainingMs(term.token) };
  }

  outranked(token: number): void {
    this.#metToken = Math.max(this.#metToken, token);
  }

  /** Works until the abort, then gives the lease back so that the next need not wait. */
  async run(stop: AbortSignal): Promise<void> {
    const { clock, timing, random, observer } = this.#parts;
    while (!stop.aborted) {
      let waitMs = timing.retryMs * (1 + JITTER * random());
      try {
        await this.#attempt();
      } catch (error) {
        if (!isBusError(error)) throw error;
        observer.electionFailed(error);
        waitMs = Math.max(waitMs, error.retryAfterMs ?? 0);
      }
      this.#tell();
      await clock.sleep(waitMs, stop);
    }
    await this.#release();
  }

  #remainingMs(token: number): number {
    const term = this.#term;
    if (term === undefined || term.token !== token) return 0;
    return Math.max(0, term.sentMs + this.#parts.timing.renewDeadlineMs - this.#parts.clock.monotonicMs());
  }

  async #attempt(): Promise<void> {
    const { identity, records, clock } = this.#parts;
    // Who holds it writes at once, without reading: the version is checked by the server.
    if (this.#sighting?.record?.holder === identity && (await this.#write('renew', this.#sighting.record))) return;
    const record = await records.read(this.#timeoutMs);
    const nowMs = clock.monotonicMs();
    this.#heardMs = nowMs;
    this.#sighting = sighted(this.#sighting, record, nowMs);
    const step = electionStep(identity, this.#sighting, nowMs);
    // Another is in it, so ours is over, whatever our clock says.
    if (step.kind !== 'renew') this.#term = undefined;
    if (step.kind !== 'wait') await this.#write(step.kind, record);
  }

  /** False: somebody was faster. */
  async #write(step: 'create' | 'renew' | 'take', before: StoredRecord | undefined): Promise<boolean> {
    const { records, clock } = this.#parts;
    const sentMs = clock.monotonicMs();
    const record = this.#next(step, before);
    const answer: RecordWrite =
      before === undefined
        ? await records.create(record, this.#timeoutMs)
        : await records.update({ ...record, version: before.version }, this.#timeoutMs);
    if (answer.kind === 'conflict') return false;
    const nowMs = clock.monotonicMs();
    this.#heardMs = nowMs;
    this.#sighting = sighted(this.#sighting, answer.stored, nowMs);
    this.#term = { token: answer.stored.transitions, sentMs };
    return true;
  }

  #next(step: 'create' | 'renew' | 'take', before: StoredRecord | undefined): LeaderRecord {
    const { identity, timing, clock } = this.#parts;
    const nowMs = clock.nowMs();
    // From 1 on, so that a token is never mistaken for none.
    const counted = before?.transitions ?? 0;
    const isTold = step === 'renew' && counted >= this.#metToken && counted > 0;
    return {
      holder: identity,
      durationMs: timing.durationMs,
      transitions: isTold ? counted : Math.max(counted, this.#metToken) + 1,
      acquiredMs: step === 'renew' ? (before?.acquiredMs ?? nowMs) : nowMs,
      renewedMs: nowMs,
    };
  }

  /** A third of the deadline: a server that hangs once does not cost the lease. */
  get #timeoutMs(): number {
    return this.#parts.timing.renewDeadlineMs / 3;
  }

  /** Nothing is acted from here on, so another may begin at once. A failure only makes him wait. */
  async #release(): Promise<void> {
    const { identity, records, observer } = this.#parts;
    const record = this.#sighting?.record;
    this.#term = undefined;
    if (record === undefined || record.holder !== identity) return;
    try {
      await records.update({ ...record, holder: '', durationMs: 1000 }, this.#timeoutMs);
    } catch (error) {
      if (!isBusError(error)) throw error;
      observer.electionFailed(error);
    }
    this.#sighting = undefined;
  }

  #tell(): void {
    const permit = this.permit();
    const holder = permit === undefined ? (this.#sighting?.record?.holder ?? '') : this.#parts.identity;
    const now = `${permit?.token ?? ''}/${holder}`;
    if (now === this.#told) return;
    this.#told = now;
    if (permit === undefined) this.#parts.observer.following(holder);
    else this.#parts.observer.leading(permit.token);
  }
}
