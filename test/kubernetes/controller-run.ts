import { Controller, CONTROLLER_TIMING, type ControllerTiming } from '../../src/controller/controller.ts';
import type { Act } from '../../src/controller/act.ts';
import type { Policy } from '../../src/controller/decide.ts';
import { ELECTION_TIMING } from '../../src/controller/election.ts';
import { Leadership } from '../../src/controller/leadership.ts';
import type { ActOutcome, ControllerObserver } from '../../src/controller/observe.ts';
import type { RegionGates } from '../../src/controller/region-gates.ts';
import type { KubernetesClient } from '../../src/drivers/kubernetes/client.ts';
import { KubernetesJobs } from '../../src/drivers/kubernetes/jobs.ts';
import { LeaderLease } from '../../src/drivers/kubernetes/leader-lease.ts';
import { EventNotices } from '../../src/drivers/kubernetes/notices.ts';
import { KubernetesPods } from '../../src/drivers/kubernetes/pods.ts';
import { isBusError } from '../../src/protocol/errors.ts';
import type { Clock } from '../../src/runtime/clock.ts';
import { FastClock } from './fast-clock.ts';
import { LEASE, OWNER, PODS_NAMESPACE } from './installed.ts';

export const BUS = 'shop';
/** Fifteen seconds of an election are one and a half. */
const RATE = 10;

export interface ControllerRun {
  readonly user: string;
  readonly leadership: Leadership;
  readonly controller: Controller;
  /** What it did, in order. */
  readonly acts: { readonly act: Act; readonly outcome: ActOutcome }[];
  readonly failures: string[];
  readonly watchEnds: string[];
  /** How many looks it has made. */
  looks: number;
  /** As a drain does. */
  stop(): Promise<void>;
}

export interface RunSettings {
  readonly regions?: readonly string[];
  readonly policy?: Policy;
  readonly shards?: number;
  readonly ttlSeconds?: number;
  readonly clock?: Clock;
  readonly timing?: Partial<ControllerTiming>;
  /** How long its lease lasts for others. */
  readonly leaseMs?: number;
  readonly hasPods?: boolean;
  /** Of its back-off. */
  readonly random?: () => number;
}

/** What it acts upon. */
export interface RunPlaces {
  readonly user: string;
  readonly client: KubernetesClient;
  readonly gates: RegionGates;
  readonly templatePath: string;
}

/** Runs a controller in this process, by the names that the chart gives it. */
export function runController({ user, client, gates, templatePath }: RunPlaces, options: RunSettings): ControllerRun {
  const clock = options.clock ?? new FastClock(RATE);
  const run: ControllerRun = {
    user,
    acts: [],
    failures: [],
    watchEnds: [],
    looks: 0,
    leadership: undefined as never,
    controller: undefined as never,
    stop: async () => {
      acting.abort();
      await acts;
      leading.abort();
      await leads;
    },
  };
  const failed = (error: unknown): void => void run.failures.push(isBusError(error) ? error.code : String(error));
  const observer: ControllerObserver = {
    leading: () => undefined,
    following: () => undefined,
    electionFailed: failed,
    looked: ({ undone }) => {
      run.looks += 1;
      if (undone !== undefined) failed(undone);
    },
    lookFailed: failed,
    acted: (act, outcome) => void run.acts.push({ act, outcome }),
    watchEnded: (reason) => void run.watchEnds.push(reason),
  };
  const leadership = new Leadership({
    identity: user,
    records: new LeaderLease(client, LEASE, {}),
    timing: { ...ELECTION_TIMING, durationMs: options.leaseMs ?? ELECTION_TIMING.durationMs },
    clock,
    random: Math.random,
    observer,
  });
  const controller = new Controller({
    regions: options.regions ?? ['eu'],
    policy: options.policy ?? { onFailure: 'hold' },
    seat: leadership,
    gates,
    jobs: new KubernetesJobs(client, {
      bus: BUS,
      shards: options.shards ?? 1,
      ttlSeconds: options.ttlSeconds ?? 3600,
      templatePath,
      owner: OWNER,
    }),
    notices: new EventNotices(client, user, () => clock.nowMs()),
    ...(options.hasPods === true ? { pods: new KubernetesPods(client, PODS_NAMESPACE, () => clock.nowMs()) } : {}),
    timing: { ...CONTROLLER_TIMING, ...options.timing },
    clock,
    random: options.random ?? Math.random,
    observer,
  });
  Object.assign(run, { leadership, controller });
  const acting = new AbortController();
  const leading = new AbortController();
  const acts = controller.run(acting.signal);
  const leads = leadership.run(leading.signal);
  // Told at the end, by `stop`.
  for (const life of [acts, leads]) life.catch(() => undefined);
  return run;
}
