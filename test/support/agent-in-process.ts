import { randomBytes } from 'node:crypto';
import { Agent } from '../../src/agent/agent.ts';
import type { AgentPorts } from '../../src/agent/agent-ports.ts';
import type { AgentObserver, AgentProgress } from '../../src/agent/observe.ts';
import { FENCE_BUCKETS, type Invalidation } from '../../src/protocol/invalidation.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { encodeRecord } from '../../src/protocol/record-codec.ts';
import type { StoredGate } from '../../src/protocol/region-gate.ts';
import { systemClock } from '../../src/runtime/clock.ts';
import { MemoryLog } from '../../src/testing/memory-log.ts';
import { busConfig, USER } from './bus-config.ts';

export interface TestRecord {
  readonly from: number;
  readonly to: number;
  readonly partition?: number;
  readonly asOfMs?: number;
  /** Number of the source epoch; default 1. */
  readonly epoch?: number;
  readonly items?: readonly Invalidation[];
  /** Rule text of each family. */
  readonly rules?: Readonly<Record<string, string>>;
}

/** A record as the relay writes it; its items are of one transaction at `from`. */
export function recordText({ from, to, asOfMs = 1, epoch = 1, items = [], rules }: TestRecord): string {
  const sourceEpoch = { number: epoch, systemId: '7', timeline: 1, slotIdentity: 'x', postmasterStartedAtMs: 0 };
  const bounds = { from: lsn(from), to: lsn(to), sentThrough: lsn(0), settledPrimary: lsn(0) };
  const transactions = items.length === 0 ? [] : [{ commitLsn: lsn(from), committedAtMs: 0, ordinal: 0, items }];
  const said = rules === undefined ? {} : { rules: { partitions: 1, bucketsPerCell: FENCE_BUCKETS, families: rules } };
  return encodeRecord({ bus: 'shop', sourceEpoch, ...bounds, asOfMs, transactions, ...said });
}

export function appendTo(log: MemoryLog, ...records: readonly TestRecord[]): void {
  log.append(records.map((record) => ({ partition: record.partition ?? 0, value: recordText(record) })));
}

/** An agent in this process, on a log in memory and a store of the caller's. */
export function startAgentOn(
  log: MemoryLog,
  more: Partial<AgentPorts> & Pick<AgentPorts, 'connectStore'>,
  family = USER,
) {
  const seen = {
    connected: 0,
    away: [] as string[],
    awaySeconds: 0,
    /** `<cell> <reason>` of each epoch that was begun. */
    epochs: [] as string[],
    stopped: [] as string[],
    deadLetters: 0,
    /** What befell the region's Redis and its gate, in order. */
    events: [] as string[],
    published: 0,
    hotFaults: [] as string[],
    gate: undefined as StoredGate | undefined,
    refused: [] as string[],
    progress: undefined as AgentProgress | undefined,
  };
  const observer: AgentObserver = {
    connected: () => {
      seen.connected += 1;
      seen.events.push('connected');
    },
    away: (error) => {
      seen.away.push(String(error));
      seen.events.push('away');
    },
    gate: (now) => (seen.gate = now),
    redisChanged: (change) => void seen.events.push(change),
    gateCold: (epoch, reason) => void seen.events.push(`gate ${epoch}: ${reason}`),
    hotReads: () => undefined,
    hotKeysPublished: (buckets) => void (seen.published += buckets),
    hotKeysFault: (error) => void seen.hotFaults.push(error.code),
    gateUnfit: (error) => void seen.events.push(error.code),
    redisAway: (seconds) => void (seen.awaySeconds += seconds),
    took: () => undefined,
    gaveUp: () => undefined,
    stopped: (cell, error) => void seen.stopped.push(`${cell} ${String(error)}`),
    applied: () => undefined,
    refused: (_, why) => void seen.refused.push(why),
    epoch: (_, reason) => void seen.epochs.push(reason),
    deadLetter: () => void (seen.deadLetters += 1),
    swept: () => undefined,
    refreshed: () => undefined,
    refreshFailed: () => undefined,
    refreshesLeft: () => undefined,
    progress: (now) => (seen.progress = now),
  };
  const agent = new Agent(
    {
      openLog: (handler) => Promise.resolve(log.openReader(handler)),
      replicas: [],
      clock: systemClock,
      observer,
      random: () => 0,
      token: () => randomBytes(8).toString('hex'),
      ...more,
    },
    busConfig([family]),
  );
  const ended = agent.run(new AbortController().signal);
  return {
    seen,
    ended,
    stop: async () => {
      await agent.drain();
      await ended;
    },
  };
}
