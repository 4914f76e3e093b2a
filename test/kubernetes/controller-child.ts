// A controller as a process of its own, by the system's clock and the true timing of an election: <kubeconfig> <identity> <template> <file of gates>.
import { readFile } from 'node:fs/promises';
import { Controller, CONTROLLER_TIMING } from '../../src/controller/controller.ts';
import { ELECTION_TIMING } from '../../src/controller/election.ts';
import { Leadership } from '../../src/controller/leadership.ts';
import type { GateAnswer } from '../../src/controller/region-gates.ts';
import { KubernetesClient } from '../../src/drivers/kubernetes/client.ts';
import { KubernetesJobs } from '../../src/drivers/kubernetes/jobs.ts';
import { LeaderLease } from '../../src/drivers/kubernetes/leader-lease.ts';
import { EventNotices } from '../../src/drivers/kubernetes/notices.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { LEASE } from './installed.ts';

const [kubeconfig = '', identity = '', templatePath = '', gatesPath = ''] = process.argv.slice(2);
const client = new KubernetesClient({ kubeconfig });
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const observer = {
  leading: () => say('leading'),
  following: () => say('following'),
  electionFailed: () => undefined,
  looked: () => undefined,
  lookFailed: () => undefined,
  acted: () => undefined,
  watchEnded: () => undefined,
};
const common = { clock: systemClock, random: Math.random, observer };
const leadership = new Leadership({
  ...common,
  identity,
  records: new LeaderLease(client, LEASE, {}),
  timing: ELECTION_TIMING,
});
const controller = new Controller({
  ...common,
  regions: ['eu'],
  policy: { onFailure: 'hold' },
  seat: leadership,
  gates: {
    read: async () => JSON.parse(await readFile(gatesPath, 'utf8')) as GateAnswer,
    open: () => Promise.resolve('ok'),
  },
  jobs: new KubernetesJobs(client, { bus: 'shop', shards: 1, ttlSeconds: 60, templatePath }),
  notices: new EventNotices(client, identity, () => Date.now()),
  timing: CONTROLLER_TIMING,
});
const forever = new AbortController().signal;
await Promise.all([controller.run(forever), leadership.run(forever)]);
