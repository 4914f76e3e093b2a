import { BusError, isBusError } from '../protocol/errors.ts';
import { type BackoffLimits, backoffMs } from '../runtime/backoff.ts';
import type { Act } from './act.ts';
import { decide, type Policy } from './decide.ts';
import { LookActs, type LookActsParts } from './look-acts.ts';
import type { LeaderPermit } from './leader-permit.ts';
import type { LeaderSeat } from './leader-record.ts';
import { JobWatch } from './job-watch.ts';
import { LookBell } from './look-bell.ts';
import type { GateAnswer } from './region-gates.ts';

export interface ControllerTiming {
  /** How often the gates are read. */
  readonly gateMs: number;
  /** How long at most between two looks at everything, whatever watches and gates say. */
  readonly relistMs: number;
  /** The pause after a look, whatever a watch tells: a Job with many pods changes often. */
  readonly settleMs: number;
}

export const CONTROLLER_TIMING: ControllerTiming = { gateMs: 1000, relistMs: 10_000, settleMs: 200 };

export interface ControllerParts extends LookActsParts {
  readonly regions: readonly string[];
  readonly policy: Policy;
  readonly seat: LeaderSeat;
  readonly timing: ControllerTiming;
}

const BACKOFF: BackoffLimits = { firstMs: 500, maxMs: 30_000 };

/**
 * Looks at every region again and again, while it leads, and does what a look calls for. It is never on the data path: where it stands still,
 * regions stay as they are.
 *
 * Level-triggered: a look lists all Jobs, reads all gates and decides from these alone. What a watch tells makes the next look come sooner,
 * and `relistMs` makes it come anyway. Where nothing has moved since the last look, as far as the gates and the watch say, none is made
 * before that.
 *
 * What one act answers is that act's matter: it is left alone for a while, and gates and other acts go on. A look as a whole fails, and the next
 * waits, where the API server cannot be asked at all, asks to be left alone, or knows of another leader.
 */
export class Controller {
  readonly #parts: ControllerParts;
  readonly #bell: LookBell;
  readonly #watch: JobWatch;
  readonly #acts: LookActs;
  #endedMs: number | undefined;
  #lookedMs: number | undefined;
  #lookedAt: string | undefined;
  #isDisturbed = true;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#bell = new LookBell(parts.clock);
    this.#watch = new JobWatch({ ...parts, pauseMs: parts.timing.gateMs, ring: () => this.#bell.ring() });
    this.#acts = new LookActs(parts);
  }

  /** When a look last left nothing undone, by the monotonic clock. */
  get lookedMs(): number | undefined {
    return this.#lookedMs;
  }

  async run(stop: AbortSignal): Promise<void> {
    const watching = this.#watch.run(stop);
    for (let failures = 0; !stop.aborted;) {
      let waitMs = this.#parts.timing.gateMs;
      const permit = this.#parts.seat.permit();
      if (permit === undefined) {
        this.#isDisturbed = true;
        this.#bell.takeRing();
      } else {
        try {
          await this.#turn(permit);
          failures = 0;
        } catch (error) {
          if (!isBusError(error)) throw error;
          this.#isDisturbed = true;
          this.#parts.observer.lookFailed(error);
          waitMs = Math.max(backoffMs(failures++, BACKOFF, this.#parts.random), waitMs);
          // Whoever asks to be left alone is, whatever a watch tells.
          await this.#parts.clock.sleep(error.retryAfterMs ?? 0, stop);
        }
      }
      await this.#parts.clock.sleep(this.#parts.timing.settleMs, stop);
      await this.#bell.wait(waitMs, stop);
    }
    await watching;
  }

  /** Reads the gates; looks at everything where they, the watch or the timer give cause. */
  async #turn(permit: LeaderPermit): Promise<void> {
    const { clock, timing } = this.#parts;
    const startMs = clock.monotonicMs();
    const isDue =
      this.#endedMs === undefined || startMs - this.#endedMs >= timing.relistMs || this.#acts.dueMs <= startMs;
    if (!this.#isDisturbed && !isDue && !this.#bell.takeRing()) {
      if (lookKey(await this.#readGates()) === this.#lookedAt) return;
    }
    this.#bell.takeRing();
    this.#isDisturbed = false;
    await this.#look(permit);
    this.#endedMs = clock.monotonicMs();
  }

  async #look(permit: LeaderPermit): Promise<void> {
    const { jobs, policy, observer, clock, seat } = this.#parts;
    const startMs = clock.monotonicMs();
    // In this order: decide.ts says why.
    const listed = await jobs.list();
    const gates = await this.#readGates();
    this.#watch.listedAt(listed.version);
    this.#lookedAt = lookKey(gates);
    // Those of other regions are another release's, whose lease counts by itself.
    const token = Math.max(0, ...listed.jobs.filter((job) => gates.has(job.region)).map((job) => job.token));
    if (token > permit.token) {
      seat.outranked(token);
      throw new BusError('LEADERSHIP_LOST', `A Job of a later leader is there, by its token ${token}.`);
    }
    const ending = await this.#act(decide({ jobs: listed.jobs, gates }, policy), permit);
    // What was seen is told, whatever came of it.
    const undone = ending === undefined ? this.#acts.failure : undefined;
    observer.looked({ gates, jobs: listed.jobs, seconds: (clock.monotonicMs() - startMs) / 1000, undone });
    if (ending !== undefined) throw ending;
    if (undone === undefined) this.#lookedMs = clock.monotonicMs();
  }

  /** Returns what has ended it, as the matter of the whole look. */
  async #act(acts: readonly Act[], permit: LeaderPermit): Promise<BusError | undefined> {
    try {
      await this.#acts.run(acts, permit, () => this.#readGates());
      return undefined;
    } catch (error) {
      if (!isBusError(error)) throw error;
      return error;
    }
  }

  async #readGates(): Promise<ReadonlyMap<string, GateAnswer>> {
    const { regions, gates } = this.#parts;
    return new Map(await Promise.all(regions.map(async (region) => [region, await gates.read(region)] as const)));
  }
}

/** Of the gates, what a look decides by. */
function lookKey(gates: ReadonlyMap<string, GateAnswer>): string {
  return JSON.stringify(
    [...gates].map(([region, gate]) =>
      gate.kind === 'gate' ? [region, gate.epoch, gate.state, gate.admit >= 1] : [region, gate.kind],
    ),
  );
}
