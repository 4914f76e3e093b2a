import type { Random } from './random.ts';

/** What may go wrong in a run. Each seed draws some of them; the shrinking of a failure takes them away one by one. */
export const FAULTS = [
  'asynchronousCommits',
  'sourceCrash',
  'sourceRestart',
  'sourceFailover',
  'slotRecreation',
  'replicaRestart',
  'replicaSilence',
  'relayRestart',
  'relayTakeover',
  'sendFailure',
  'lateSend',
  'logTailLoss',
  'logTruncation',
  'agentCrash',
  'agentStall',
  'agentConnection',
  'lateCommand',
  'deliveryLoss',
  'redisFailover',
  'redisFlush',
  'redisRestart',
  'recordLoss',
  'memoryEviction',
  'externalDelete',
  'clientConnection',
  'trackingLoss',
  'readerStall',
] as const;

export type Fault = (typeof FAULTS)[number];

/** Every fault comes with its own chance, so that a seed may be calm but for one of them. */
export function drawFaults(random: Random): Set<Fault> {
  const oneIn = 1 + random.below(4);
  const drawn = FAULTS.filter(() => random.oneIn(oneIn));
  return new Set(drawn);
}
