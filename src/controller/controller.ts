import { BusError, isBusError } from '../protocol/errors.ts';
import { type BackoffLimits, backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import { type Act, decide, type Policy } from './decide.ts';
import type { LeaderPermit } from './leader-permit.ts';
import type { LeaderSeat } from './leader-record.ts';
import { JobWatch } from './job-watch.ts';
import { LookBell } from './look-bell.ts';
import type { Notices } from './notices.ts';
import type { ActOutcome, ControllerObserver } from './observe.ts';
import type { GateAnswer, RegionGates } from './region-gates.ts';
import type { RegionPods } from './region-pods.ts';
import type { WarmupJobs } from './warmup-jobs.ts';

export interface ControllerTiming {
  /** How often the gates are read. */
  readonly gateMs: number;
  /** How long at most between two looks at everything, whatever watches and gates say. */
  readonly relistMs: number;
  /** The pause after a look, whatever a watch tells: a Job with many pods changes often. */
  readonly settleMs: number;
}

export const CONTROLLER_TIMING: ControllerTiming = { gateMs: 1000, relistMs: 10_000, settleMs: 200 };

export interface ControllerParts {
  readonly regions: readonly string[];
  readonly policy: Policy;
  readonly seat: LeaderSeat;
  readonly gates: RegionGates;
  readonly jobs: WarmupJobs;
  readonly notices: Notices;
  /** Absent: no pod asks for a gate. */
  readonly pods?: RegionPods;
  readonly timing: ControllerTiming;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: ControllerObserver;
}

const BACKOFF: BackoffLimits = { firstMs: 500, maxMs: 30_000 };
/** Beyond these the API server, not the one act, is the matter: the rest of a look waits for the next. */
const ENDS_A_LOOK = new Set([
  'LEADERSHIP_LOST',
  'KUBERNETES_UNREACHABLE',
  'KUBERNETES_OVERLOADED',
  'KUBERNETES_FAILED',
]);

/**
 * Looks at every region again and again, while it leads, and does what a look calls for. It is never on the data path: where it stands still,
 * regions stay as they are.
 *
 * Level-triggered: a look lists all Jobs, reads all gates and decides from these alone. What a watch tells makes the next look come sooner,
 * and `relistMs` makes it come anyway. Where nothing has moved since the last look, as far as the gates and the watch say, none is made
 * before that.
 */
export class Controller {
  readonly #parts: ControllerParts;
  readonly #bell: LookBell;
  readonly #watch: JobWatch;
  #lookedMs: number | undefined;
  #lookedAt: string | undefined;
  #isDisturbed = true;

  constructor(parts: ControllerParts) {
    this.#parts = parts;
    this.#bell = new LookBell(parts.clock);
    this.#watch = new JobWatch({ ...parts, pauseMs: parts.timing.gateMs, ring: () => this.#bell.ring() });
  }

  /** When a look last succeeded, by the monotonic clock. */
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
    const isDue = this.#lookedMs === undefined || startMs - this.#lookedMs >= timing.relistMs;
    if (!this.#isDisturbed && !isDue && !this.#bell.takeRing()) {
      if (lookKey(await this.#readGates()) === this.#lookedAt) return;
    }
    this.#bell.takeRing();
    this.#isDisturbed = false;
    await this.#look(permit);
    this.#lookedMs = clock.monotonicMs();
  }

  async #look(permit: LeaderPermit): Promise<void> {
    const { jobs, pods, policy, observer, clock, seat } = this.#parts;
    const startMs = clock.monotonicMs();
    // In this order: decide.ts says why.
    const listed = await jobs.list();
    const regionPods = pods === undefined ? [] : await pods.list();
    const gates = await this.#readGates();
    this.#watch.listedAt(listed.version);
    this.#lookedAt = lookKey(gates);
    // Those of other regions are another release's, whose lease counts by itself.
    const token = Math.max(0, ...listed.jobs.filter((job) => gates.has(job.region)).map((job) => job.token));
    if (token > permit.token) {
      seat.outranked(token);
      throw new BusError('LEADERSHIP_LOST', `A Job of a later leader is there, by its token ${token}.`);
    }
    let first: BusError | undefined;
    const says: Act[] = [];
    for (const act of decide({ jobs: listed.jobs, gates, pods: regionPods }, policy)) {
      if (act.kind === 'say') {
        says.push(act);
        continue;
      }
      const { outcome, error } = await this.#try(act, permit);
      if (error !== undefined && ENDS_A_LOOK.has(error.code)) throw error;
      if (outcome === 'done' && 'then' in act) says.push({ kind: 'say', notice: act.then });
      first ??= error;
    }
    // Told last: Events are often stored elsewhere, and where that is away no region waits for it.
    for (const say of says) {
      const { error } = await this.#try(say, permit);
      first ??= error;
      if (error !== undefined && ENDS_A_LOOK.has(error.code)) break;
    }
    observer.looked({ gates, jobs: listed.jobs, seconds: (clock.monotonicMs() - startMs) / 1000 });
    // One region's refusal does not keep another waiting, but it is looked at again soon.
    if (first !== undefined) throw first;
  }

  async #try(act: Act, permit: LeaderPermit): Promise<{ readonly outcome: ActOutcome; readonly error?: BusError }> {
    try {
      const outcome = await this.#do(act, permit);
      this.#parts.observer.acted(act, outcome);
      return { outcome };
    } catch (error) {
      if (!isBusError(error)) throw error;
      this.#parts.observer.acted(act, 'failed', error);
      return { outcome: 'failed', error };
    }
  }

  async #do(act: Act, permit: LeaderPermit): Promise<ActOutcome> {
    const { jobs, gates, notices, pods } = this.#parts;
    if (permit.remainingMs() <= 0) throw new BusError('LEADERSHIP_LOST', `The permit ran out before: ${act.kind}.`);
    switch (act.kind) {
      case 'create':
        return (await jobs.create(act.order, permit)) === 'created' ? 'done' : 'needless';
      case 'delete':
        return (await jobs.delete(act.job, permit)) === 'deleted' ? 'done' : 'needless';
      case 'expire':
        return (await jobs.expire(act.job, permit)) === 'expiring' ? 'done' : 'needless';
      case 'open':
        return (await gates.open(act.region, act.epoch)) === 'ok' ? 'done' : 'needless';
      case 'say':
        await notices.say(act.notice, permit);
        return 'done';
      case 'admit':
        return (await pods?.admit(act.pod, act.admission, permit)) === 'written' ? 'done' : 'needless';
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
