import type { BusConfig } from '../config/bus-config.ts';
import { BusError, isBusError } from '../protocol/errors.ts';
import { decodeRecord } from '../protocol/record-codec.ts';
import type { LogRecord, RulesNotice } from '../protocol/log-record.ts';
import type { SourceEpoch, SourceLife } from '../protocol/source-epoch.ts';
import type { Clock } from '../runtime/clock.ts';
import { AckTracker } from './ack-tracker.ts';
import { AsOfTracker } from './as-of.ts';
import { type ParameterTypes, readApplicationMessage } from './application-message.ts';
import { Batcher } from './batch.ts';
import { TransactionCollector } from './collect.ts';
import { DecodeSink } from './decode-sink.ts';
import { FreshnessProbe } from './freshness-probe.ts';
import type { Source, SourceStream } from './from-postgres.ts';
import type { RelayObserver } from './observe.ts';
import { Pump } from './pump.ts';
import { RelationDirectory } from './relation-directory.ts';
import { Router, tableText } from './route.ts';
import { SettleTracker } from './settle.ts';
import {
  type Continuity,
  type EpochDecision,
  decideSourceEpoch,
  isStartSettled,
  type LastWord,
  lastWord,
} from './source-gap.ts';
import type { LogWriter } from './to-log.ts';
import { ENDING, unlessEnding } from './unless-ending.ts';

export interface AttemptPorts {
  readonly source: Source;
  readonly openLog: (signal: AbortSignal) => Promise<LogWriter>;
  readonly clock: Clock;
  readonly observer: RelayObserver;
}

export interface AttemptFacts {
  readonly config: BusConfig;
  readonly rules: (partitions: number) => RulesNotice;
  readonly parameterTypes: ParameterTypes;
  readonly continuity: (highest: SourceEpoch | undefined, life: SourceLife) => Continuity;
  /** Told of each number of a source epoch that was drawn, here or by another relay. */
  readonly drawn: (number: number) => void;
  /** Told at each send that the log has taken: the source epoch of this attempt is in it. */
  readonly epochLanded: () => void;
}

export interface AttemptEnd {
  readonly outcome: 'clean' | 'drained';
  /** Undefined where the end was asked for before the log was looked at. */
  readonly epoch?: SourceEpoch;
}

/**
 * One life of the pipeline, from taking the slot to losing it. Whatever fails ends it; the next attempt starts from what the slot has
 * confirmed. Nothing is carried over but what is durable.
 */
export async function runAttempt(
  ports: AttemptPorts,
  facts: AttemptFacts,
  drain: AbortSignal,
  stop: AbortSignal,
): Promise<AttemptEnd> {
  const ending = AbortSignal.any([drain, stop]);
  try {
    // The slot comes first: a relay that stands by opens nothing else, and while another holds it, the log may still grow a higher epoch.
    const stream = await unlessEnding(ending, ports.source.open(ending), (late) => late.stop());
    try {
      return await withStream(ports, facts, stream, { ending, drain, stop });
    } finally {
      await stream.stop();
    }
  } catch (error) {
    if (error === ENDING) return { outcome: 'drained' };
    throw error;
  }
}

interface EndSignals {
  readonly drain: AbortSignal;
  readonly stop: AbortSignal;
  /** Either. */
  readonly ending: AbortSignal;
}

async function withStream(
  ports: AttemptPorts,
  facts: AttemptFacts,
  stream: SourceStream,
  { ending, drain, stop }: EndSignals,
): Promise<AttemptEnd> {
  const { source, observer } = ports;
  const directory = new RelationDirectory(rulesOf(facts.config));
  directory.learn(await unlessEnding(ending, source.directory()));
  const log = await unlessEnding(ending, ports.openLog(ending), (late) => late.close());
  try {
    const said = readLast(await unlessEnding(ending, log.lastRecords(ending)));
    const { life, confirmedLsn } = stream;
    const continuity = facts.continuity(said.highest, life);
    const decision = decideSourceEpoch(said, life, confirmedLsn, continuity, ports.clock.nowMs());
    facts.drawn(decision.epoch.number);
    observer.epoch(decision);
    if (decision.change !== 'none') await unlessEnding(ending, source.markEpoch(decision.epoch.number));
    const isSettled = isStartSettled(decision, said.settled, confirmedLsn);
    const barrier = isSettled ? undefined : await unlessEnding(ending, source.allocateXid());
    const pump = assemble(ports, facts, { directory, log, stream, decision, barrier });
    observer.state('streaming', `slot held, epoch ${decision.epoch.number}`);
    const outcome = await pump.run(drain, stop);
    return { outcome, epoch: decision.epoch };
  } finally {
    await log.close();
  }
}

interface Opened {
  readonly directory: RelationDirectory;
  readonly log: LogWriter;
  readonly stream: SourceStream;
  readonly decision: EpochDecision;
  readonly barrier: bigint | undefined;
}

function assemble(ports: AttemptPorts, facts: AttemptFacts, opened: Opened): Pump {
  const { config, rules, parameterTypes } = facts;
  const { observer, source } = ports;
  const { stream, log, decision, directory } = opened;
  const start = stream.confirmedLsn;
  const batcher = new Batcher(log.partitions, start);
  const settle = new SettleTracker(start, opened.barrier);
  const asOf = new AsOfTracker();
  const collector = new TransactionCollector(config.keysPerTransactionMax, (item) => {
    observer.invalidation(item.scope, item.scope === 'tag' ? '' : item.family);
    batcher.add(item);
  });
  const router = new Router(config, {
    invalidate: (item) => collector.add(item),
    widened: (reason, table, family) => observer.widened(reason, table, family),
  });
  const readMessage = (content: string): ReturnType<typeof readApplicationMessage> =>
    readApplicationMessage(content, config, parameterTypes);
  const pump = new Pump(
    {
      source,
      stream,
      log,
      batcher,
      settle,
      acks: new AckTracker(log.partitions, start),
      asOf,
      freshness: new FreshnessProbe({ source, batcher, asOf, clock: ports.clock }),
      observer,
      clock: ports.clock,
    },
    {
      bus: config.bus,
      sourceEpoch: decision.epoch,
      rules: rules(log.partitions),
      landed: facts.epochLanded,
    },
  );
  const sink = new DecodeSink(
    { router, collector, batcher, settle, directory, readMessage },
    {
      progress: () => pump.wake(),
      transaction: () => observer.transaction(),
      change: (op) => observer.change(op),
      messageFault: (fault) => observer.messageFault(fault),
      epochMark: ({ bus, number }) => {
        if (bus !== config.bus || number <= decision.epoch.number) return;
        facts.drawn(number);
        throw new BusError('SOURCE_EPOCH_PASSED', `Source epoch ${number} was drawn after ${decision.epoch.number}.`);
      },
      unnamedRelation: () => {
        observer.unrouted(sink.unrouted);
        if (sink.isDoubtful) pump.relearn(relearn);
      },
    },
  );
  const relearn = async (): Promise<boolean> => {
    const seen = settle.settled;
    directory.learn(await source.directory());
    sink.relearn(seen);
    observer.unrouted(sink.unrouted);
    return sink.isDoubtful;
  };
  pump.start(sink);
  return pump;
}

function* rulesOf(config: BusConfig): Generator<readonly [table: string, columns: readonly string[]]> {
  for (const { rules } of [...config.families.values(), ...config.tagRules])
    for (const rule of rules) yield [tableText(rule.table), rule.columns];
}

/** A last record that somebody else wrote is passed over, as long as another can be read. */
function readLast(texts: readonly (string | null)[]): LastWord {
  const records: LogRecord[] = [];
  let unreadable: unknown;
  texts.forEach((text, partition) => {
    if (text === null) return;
    try {
      records.push(decodeRecord(text, `the last record of partition ${partition}`));
    } catch (error) {
      if (!isBusError(error, 'RECORD_INVALID')) throw error;
      unreadable = error;
    }
  });
  if (records.length === 0 && unreadable !== undefined) throw unreadable;
  return lastWord(records);
}
