import { BusError, isBusError } from '../protocol/errors.ts';
import { type Act, subjectOf } from './act.ts';
import { Attempts, type AttemptsParts } from './attempts.ts';
import { decideAdmissions } from './decide.ts';
import type { LeaderPermit } from './leader-permit.ts';
import type { Notices } from './notices.ts';
import type { ActOutcome, ControllerObserver } from './observe.ts';
import type { GateAnswer, RegionGates } from './region-gates.ts';
import type { RegionPod, RegionPods } from './region-pods.ts';
import type { WarmupJobs } from './warmup-jobs.ts';

export interface LookActsParts extends AttemptsParts {
  readonly gates: RegionGates;
  readonly jobs: WarmupJobs;
  readonly notices: Notices;
  /** Absent: no pod asks for a gate. */
  readonly pods?: RegionPods;
  readonly observer: ControllerObserver;
}

/**
 * Does what a look calls for, each kind apart, so that what fails of one costs the others nothing:
 *
 *     what is for regions ──▶ list pods, read gates, what is for pods ──▶ notices
 *
 * Notices come last: Events are often stored elsewhere, and where that is away nobody waits for it.
 */
export class LookActs {
  readonly #parts: LookActsParts;
  readonly #regions: Attempts<Act>;
  readonly #podLists: Attempts<'pods'>;
  readonly #pods: Attempts<Act>;
  readonly #notices: Attempts<Act>;

  constructor(parts: LookActsParts) {
    this.#parts = parts;
    this.#regions = new Attempts(parts, subjectOf);
    this.#podLists = new Attempts(parts, (one) => one);
    this.#pods = new Attempts(parts, subjectOf);
    this.#notices = new Attempts(parts, subjectOf);
  }

  /** Throws what is the matter of the whole look; what else has failed is `failure`. */
  async run(
    acts: readonly Act[],
    permit: LeaderPermit,
    readGates: () => Promise<ReadonlyMap<string, GateAnswer>>,
  ): Promise<void> {
    const says = acts.filter(({ kind }) => kind === 'say');
    const others = acts.filter(({ kind }) => kind !== 'say');
    await this.#regions.each(others, async (act) => {
      const outcome = await this.#try(act, permit);
      if (outcome === 'done' && 'then' in act) says.push({ kind: 'say', notice: act.then });
    });
    const listed = await this.#listPods();
    // The gates anew: much may have been waited for since.
    const admissions = listed.length === 0 ? [] : decideAdmissions(listed, await readGates());
    await this.#pods.each(admissions, async (act) => void (await this.#try(act, permit)));
    await this.#notices.each(says, async (act) => void (await this.#try(act, permit)));
  }

  /** Why something is left undone; undefined: nothing is. */
  get failure(): BusError | undefined {
    return this.#all.find(({ failure }) => failure !== undefined)?.failure;
  }

  /** When there is something to try again, by the monotonic clock. */
  get dueMs(): number {
    return Math.min(...this.#all.map(({ dueMs }) => dueMs));
  }

  get #all(): readonly Pick<Attempts<Act>, 'failure' | 'dueMs'>[] {
    return [this.#regions, this.#podLists, this.#pods, this.#notices];
  }

  async #listPods(): Promise<readonly RegionPod[]> {
    const { pods } = this.#parts;
    let listed: readonly RegionPod[] = [];
    if (pods !== undefined) await this.#podLists.each(['pods'], async () => void (listed = await pods.list()));
    return listed;
  }

  async #try(act: Act, permit: LeaderPermit): Promise<ActOutcome> {
    try {
      const outcome = await this.#do(act, permit);
      this.#parts.observer.acted(act, outcome);
      return outcome;
    } catch (error) {
      if (isBusError(error)) this.#parts.observer.acted(act, 'failed', error);
      throw error;
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
}
