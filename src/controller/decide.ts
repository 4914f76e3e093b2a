import type { Act } from './act.ts';
import { jobName } from './job-name.ts';
import type { Notice } from './notices.ts';
import type { GateAnswer, StandingGate } from './region-gates.ts';
import type { PodAdmission, RegionPod } from './region-pods.ts';
import type { WarmupJob } from './warmup-jobs.ts';

/** What one look has seen. The Jobs were listed before the gates were read: a Job of an epoch that the gate has not is of an older one. */
export interface View {
  readonly jobs: readonly WarmupJob[];
  readonly gates: ReadonlyMap<string, GateAnswer>;
}

export interface Policy {
  /** What becomes of a region whose warm-up has ended without warming it: it stays shut until a person acts, or is opened cold. */
  readonly onFailure: 'hold' | 'open';
}

/**
 * Compares what is with what should be. The same view gives the same acts, and once they are done none: nothing is remembered between looks.
 *
 *     gate            Job of its epoch    acts
 *     unreachable     any                 none: nobody knows
 *     absent          any                 none: an agent will say so, with an epoch
 *     COLD, WARMING   none                create it
 *                     going, leaving      none
 *                     failed, complete    say so; open the gate, where the policy is to
 *     WARM            any that has ended  let it remove itself
 *     any epoch       Jobs of others      delete them
 *
 * A Job that is complete has told the gate so before it was listed, and the gate was read after that. Where it is not WARM the mark is lost for
 * good (a Redis that was promoted had not got it), or the Job's success policy asks for less than the gate does: nobody will tell it again.
 *
 * A Job that has ended so stands until a person deletes it or the epoch is over, so there is never a second of an epoch by itself: no time to
 * live is given to it. WARMING without a Job is a Job that somebody has deleted.
 */
export function decide({ jobs, gates }: View, policy: Policy): Act[] {
  const acts: Act[] = [];
  for (const [region, gate] of gates)
    if (gate.kind === 'gate')
      acts.push(
        ...decideRegion(
          region,
          gate,
          jobs.filter((job) => job.region === region),
          policy,
        ),
      );
  return acts;
}

/** Compares the pods' conditions with the gates, which were read after the pods were listed. */
export function decideAdmissions(pods: readonly RegionPod[], gates: ReadonlyMap<string, GateAnswer>): Act[] {
  const acts: Act[] = [];
  for (const pod of pods) {
    const gate = gates.get(pod.region);
    const admission = gate === undefined ? undefined : admissionOf(gate);
    if (admission !== undefined && admission.isAdmitted !== pod.isAdmitted)
      acts.push({ kind: 'admit', pod, admission });
  }
  return acts;
}

function decideRegion(region: string, gate: StandingGate, jobs: readonly WarmupJob[], policy: Policy): Act[] {
  const acts: Act[] = [];
  for (const job of jobs)
    if (job.epoch !== gate.epoch && !job.isLeaving)
      acts.push({
        kind: 'delete',
        job,
        then: { reason: 'WarmupSuperseded', note: `Region ${region} has begun anew.`, job },
      });
  const current = jobs.find((job) => job.epoch === gate.epoch);
  if (current !== undefined) return [...acts, ...decideJob(region, gate, current, policy)];
  if (gate.state === 'WARM') return acts;
  return [...acts, { kind: 'create', order: { name: jobName(region, gate.epoch), region, epoch: gate.epoch } }];
}

function decideJob(region: string, gate: StandingGate, job: WarmupJob, policy: Policy): Act[] {
  if (job.isLeaving) return [];
  const notice = (reason: Notice['reason'], note: string): Notice => ({ reason, note, job });
  const say = (reason: Notice['reason'], note: string): Act => ({ kind: 'say', notice: notice(reason, note) });
  if (gate.state === 'WARM') {
    if (job.outcome.kind === 'going' || job.isExpiring) return [];
    return [{ kind: 'expire', job, then: notice('WarmupComplete', `Region ${region} is warm.`) }];
  }
  const { outcome } = job;
  if (outcome.kind === 'going') return [say('WarmupStarted', `Region ${region} is cold; this Job warms it.`)];
  const told =
    outcome.kind === 'failed'
      ? say('WarmupFailed', `${outcome.reason}: ${outcome.message} Delete this Job for another try.`)
      : say(
          'WarmupCompleteButCold',
          `All is loaded, but the gate of region ${region} says ${gate.state}. Delete this Job for another.`,
        );
  if (policy.onFailure === 'hold' || gate.admit >= 1) return [told];
  const then = notice('RegionOpened', `Region ${region} takes traffic cold, since its warm-up has not warmed it.`);
  return [told, { kind: 'open', region, epoch: gate.epoch, then }];
}

/** Whether nobody warms a region any more, though it is not warm: the Job of its epoch has ended, failed or not. */
export function isLeftCold(region: string, gate: GateAnswer, jobs: readonly WarmupJob[]): boolean {
  if (gate.kind !== 'gate' || gate.state === 'WARM') return false;
  return jobs.some((job) => job.region === region && job.epoch === gate.epoch && job.outcome.kind !== 'going');
}

/** Undefined: nobody knows, so the pods stay as they are. A controller that cannot see must not take a region's readers away. */
function admissionOf(gate: GateAnswer): PodAdmission | undefined {
  switch (gate.kind) {
    case 'unreachable':
      return undefined;
    case 'absent':
      return { isAdmitted: false, reason: 'NoGate', message: 'The region’s Redis has no gate: it is empty.' };
    case 'gate': {
      const message = `${gate.state}, ${Math.floor(gate.share * 100)} % of the hot reads are warm, ${Math.floor(gate.admit * 100)} % admitted.`;
      return gate.admit >= 1
        ? { isAdmitted: true, reason: 'Admitted', message }
        : { isAdmitted: false, reason: 'NotAdmitted', message };
    }
  }
}
