import type { Lsn } from '../../src/protocol/lsn.ts';
import type { Snapshot } from '../../src/protocol/snapshot.ts';
import type { SourceEpoch } from '../../src/protocol/source-epoch.ts';
import { AckTracker } from '../../src/relay/ack-tracker.ts';
import { AsOfTracker } from '../../src/relay/as-of.ts';
import { Batcher, type PartitionRecord } from '../../src/relay/batch.ts';
import type { SourceLook } from '../../src/relay/from-postgres.ts';
import { IDLE_LOOK_EVERY_MS, restAfter } from '../../src/relay/freshness-probe.ts';
import { SettleTracker, UNSETTLED_MAX } from '../../src/relay/settle.ts';
import { decideSourceEpoch, isStartSettled, lastWord } from '../../src/relay/source-gap.ts';
import { BUS, CELLS, RULES } from './catalog.ts';
import { checkConfirmed, checkSettled } from './checks.ts';
import type { SimLog } from './log.ts';
import type { Commit, Postgres } from './postgres.ts';
import { SourceStream } from './source.ts';
import type { World } from './world.ts';

/** As in pump.ts. */
const IDLE_EVERY_MS = 250;
const RULES_EVERY_MS = 10_000;
const SETTLED_EVERY_MS = 5;
const SNAPSHOT_EVERY_MS = 2;

interface Attempt {
  readonly stream: SourceStream;
  readonly epoch: SourceEpoch;
  readonly batcher: Batcher;
  readonly settle: SettleTracker;
  readonly acks: AckTracker;
  readonly asOf: AsOfTracker;
  readonly barrier: bigint | undefined;
}

export interface RelayParts {
  readonly world: World;
  readonly postgres: Postgres;
  readonly log: SimLog;
  /** Who holds the slot. */
  readonly holder: { relay: Relay | undefined };
  /** Sends that were given up and land all the same, later. */
  readonly lateSends: (() => void)[];
}

/** A relay: the steps of attempt.ts and pump.ts, one at a time, around the deciding code itself. */
export class Relay {
  readonly #parts: RelayParts;
  #attempt: Attempt | undefined;
  #taken: Snapshot | undefined;
  #takenAtMs = 0;
  #look: { readonly before: Lsn; readonly answer: SourceLook; isAnswered: boolean } | undefined;
  #sending: readonly PartitionRecord[] | undefined;
  #hasLanded = false;
  #readyAtMs = 0;
  #idleAtMs = 0;
  #rulesAtMs = 0;
  #settledAtMs = 0;
  #lookAtMs = 0;
  /** For a planted fault: the clock of the last message. */
  #clockMs = 0;
  #known = 0;
  #cleanEnd: { readonly ofMs: number; nextMs?: number } | undefined;

  constructor(parts: RelayParts) {
    this.#parts = parts;
  }

  get isStreaming(): boolean {
    return this.#attempt !== undefined && this.#parts.holder.relay === this;
  }

  get isIdle(): boolean {
    const attempt = this.#attempt;
    if (attempt === undefined) return this.#parts.holder.relay !== this;
    const { stream, batcher, settle } = attempt;
    return (
      stream.isDrained &&
      batcher.pendingItems === 0 &&
      this.#sending === undefined &&
      settle.settled >= this.#parts.postgres.flushed &&
      batcher.decodedThrough >= this.#parts.postgres.flushed
    );
  }

  act(): boolean {
    const attempt = this.#attempt;
    if (attempt === undefined) return this.#open();
    if (attempt.stream.isBroken || this.#parts.holder.relay !== this) return this.#end('the stream is broken');
    const { random } = this.#parts.world;
    switch (random.below(4)) {
      case 0:
        return random.oneIn(2)
          ? this.#probe(attempt) || this.#settle(attempt)
          : this.#settle(attempt) || this.#probe(attempt);
      case 1:
        return this.#send(attempt);
      default:
        return attempt.stream.pull(this);
    }
  }

  /** It vanishes from the source, but lives: what it has sent may still land. */
  loseSlot(): void {
    if (this.#parts.holder.relay === this) this.#parts.holder.relay = undefined;
  }

  restart(): void {
    if (this.#attempt === undefined) return;
    // Another process: what this one knew is forgotten.
    this.#cleanEnd = undefined;
    this.#known = 0;
    this.#end('restarts');
  }

  /** The server ends the stream in order, when everything was read. */
  endCleanly(): void {
    const attempt = this.#attempt;
    if (attempt === undefined || this.#parts.holder.relay !== this) return;
    while (this.#attempt === attempt && !attempt.stream.isDrained) attempt.stream.pull(this);
    if (this.#attempt !== attempt) return;
    this.#cleanEnd = { ofMs: attempt.epoch.postmasterStartedAtMs };
    this.#end('the stream ended in order');
    // Mostly sooner than one that stands by.
    this.#readyAtMs = this.#parts.world.nowMs + (this.#parts.world.random.oneIn(3) ? 500 : 20);
  }

  #open(): boolean {
    const { world, postgres, log, holder, lateSends } = this.#parts;
    if (holder.relay !== undefined || world.nowMs < this.#readyAtMs) return false;
    holder.relay = this;
    const stream = new SourceStream(world, postgres);
    const { life } = postgres;
    const said = lastWord(Array.from({ length: CELLS }, (_, cell) => log.last(cell)?.record ?? []).flat());
    const { highest } = said;
    const end = this.#cleanEnd;
    if (end !== undefined && life.postmasterStartedAtMs !== end.ofMs) end.nextMs ??= life.postmasterStartedAtMs;
    const endedCleanly = highest?.postmasterStartedAtMs === end?.ofMs && life.postmasterStartedAtMs === end?.nextMs;
    const decision = decideSourceEpoch(
      said,
      life,
      stream.start,
      { known: this.#known, crashed: false, endedCleanly, asynchronousCommits: true },
      world.nowMs,
    );
    this.#known = Math.max(this.#known, decision.epoch.number);
    if (decision.change === 'log') world.seen.lastWordHidden += 1;
    if (decision.change !== 'none' && world.plant !== 'drawn epoch not marked')
      postgres.markEpoch(decision.epoch.number);
    if (endedCleanly && decision.change === 'none') world.seen.cleanEndKeptEpoch += 1;
    const barrier = isStartSettled(decision, said.settled, stream.start) ? undefined : postgres.allocateXid();
    this.#attempt = {
      stream,
      epoch: decision.epoch,
      barrier,
      batcher: new Batcher(CELLS, stream.start),
      settle: new SettleTracker(stream.start, barrier),
      acks: new AckTracker(CELLS, stream.start),
      asOf: new AsOfTracker(),
    };
    this.#taken = undefined;
    this.#look = undefined;
    this.#rulesAtMs = -RULES_EVERY_MS;
    this.#clockMs = 0;
    if (lateSends.length > 0) world.seen.relayTookOver += 1;
    if (stream.start < postgres.flushed) world.seen.relayRestartRepeated += 1;
    world.note(`relay: streams from ${stream.start}, source epoch ${decision.epoch.number} (${decision.change})`);
    return true;
  }

  #end(why: string): boolean {
    const { world, holder, log, lateSends } = this.#parts;
    const { stream } = this.#attempt as Attempt;
    const sending = this.#sending;
    if (sending !== undefined && !this.#hasLanded && world.faults.has('lateSend') && lateSends.length < 4)
      lateSends.push(() => {
        world.seen.lateRelayRecord += 1;
        world.note('relay: a send of a former attempt lands');
        log.append(sending, stream.branch);
      });
    if (holder.relay === this) holder.relay = undefined;
    this.#attempt = undefined;
    this.#sending = undefined;
    this.#readyAtMs = world.nowMs + 50 + world.random.below(400);
    world.note(`relay: ${why}`);
    return true;
  }

  // The stream's events: what DecodeSink does with them, the routing apart.

  begin(commit: Commit): void {
    const attempt = this.#attempt as Attempt;
    if ((commit.epochMark ?? 0) > attempt.epoch.number) {
      this.#known = commit.epochMark as number;
      this.#parts.world.seen.epochPassed += 1;
      this.#end('another has drawn a higher source epoch');
      return;
    }
    attempt.batcher.begin(commit.lsn, commit.committedAtMs);
  }

  item(item: Commit['items'][number]): void {
    this.#attempt?.batcher.add(item);
  }

  commit(commit: Commit): void {
    const attempt = this.#attempt as Attempt;
    const { settle, batcher } = attempt;
    if (!commit.isVisible) this.#parts.world.seen.commitBeforeVisible += 1;
    if (batcher.pendingItems < commit.items.length) this.#parts.world.seen.transactionSpannedRecords += 1;
    settle.decoded(commit.xid, commit.endLsn);
    batcher.commit(commit.endLsn);
    settle.decodedThrough(commit.endLsn);
    this.#settled(attempt);
  }

  keepalive(walEnd: Lsn, serverTimeMs: number): void {
    const attempt = this.#attempt as Attempt;
    if (!attempt.batcher.idleThrough(walEnd)) return;
    attempt.settle.decodedThrough(walEnd);
    this.#clockMs = serverTimeMs;
    this.#settled(attempt);
  }

  /** A look at clock and log is taken in one step and answered in a later one, as in freshness-probe.ts. */
  #probe({ asOf, batcher }: Attempt): boolean {
    const { world, postgres } = this.#parts;
    const look = this.#look;
    if (look !== undefined && !look.isAnswered) {
      if (look.answer.flushedLsn > batcher.decodedThrough) world.seen.lookAheadOfStream += 1;
      asOf.looked(look.answer);
      look.isAnswered = true;
      this.#lookAtMs = world.nowMs;
      return true;
    }
    const restMs = look === undefined ? 0 : restAfter(look.answer, look.before, batcher.decodedThrough);
    if (world.nowMs < this.#lookAtMs + restMs) return false;
    if (restMs === IDLE_LOOK_EVERY_MS) world.seen.lookAtIdleSource += 1;
    this.#look = { before: batcher.decodedThrough, answer: postgres.look(), isAnswered: false };
    return true;
  }

  /** So is a snapshot. */
  #settle(attempt: Attempt): boolean {
    const { world, postgres } = this.#parts;
    const { settle, acks, barrier } = attempt;
    const taken = this.#taken;
    if (taken === undefined) {
      if (!settle.isWaiting || world.nowMs < this.#takenAtMs + SNAPSHOT_EVERY_MS) return false;
      this.#takenAtMs = world.nowMs;
      this.#taken = postgres.snapshot();
      return true;
    }
    if (barrier !== undefined && taken.xmin <= barrier) world.seen.barrierHeldSettled += 1;
    settle.observe(taken);
    this.#taken = undefined;
    this.#settled(attempt);
    acks.settle(settle.settled);
    this.#confirm(attempt);
    return true;
  }

  #settled({ settle, stream }: Attempt): void {
    checkSettled(this.#parts.world, stream.branch, settle.settled);
    if (settle.waitingCount > UNSETTLED_MAX) this.#parts.world.fail('I8', 'more transactions wait than may');
  }

  /** A send goes out, lands, and is answered: three steps, each of which may fail. */
  #send(attempt: Attempt): boolean {
    const { world, log } = this.#parts;
    const { stream, acks } = attempt;
    const sending = this.#sending;
    if (sending === undefined) return this.#take(attempt);
    if (!this.#hasLanded) {
      if (world.strikes('lateSend', 60)) return this.#end('a send is given up');
      if (world.strikes('sendFailure', 60)) {
        world.seen.sendLost += 1;
        return this.#end('a send fails and is lost');
      }
      log.append(sending, stream.branch);
      this.#hasLanded = true;
      if (world.trace !== undefined) for (const one of sending) world.note(`relay: ${textOf(log, one)}`);
      if (!world.strikes('sendFailure', 60)) return true;
      world.seen.sendLandedThoughFailed += 1;
      return this.#end('a send lands and is reported failed');
    }
    for (const { partition, record } of sending) acks.acknowledge(partition, record.to);
    this.#sending = undefined;
    this.#confirm(attempt);
    return true;
  }

  #take({ batcher, settle, asOf, epoch }: Attempt): boolean {
    const { world } = this.#parts;
    const { nowMs } = world;
    const due = {
      idle: this.#idleAtMs + IDLE_EVERY_MS <= nowMs,
      settled: batcher.owesSettled(settle.settled) && this.#settledAtMs + SETTLED_EVERY_MS <= nowMs,
    };
    const isRulesDue = nowMs - this.#rulesAtMs >= RULES_EVERY_MS;
    const records = batcher.take(
      {
        bus: BUS,
        sourceEpoch: epoch,
        settledPrimary: settle.settled,
        asOfMs: (complete) => (world.plant === 'time of the last keepalive' ? this.#clockMs : asOf.at(complete)),
        ...(isRulesDue ? { rules: { partitions: CELLS, bucketsPerCell: 1, families: RULES } } : {}),
      },
      due,
    );
    asOf.forgetBelow(batcher.takenThrough);
    if (due.idle) this.#idleAtMs = nowMs;
    if (records.length === 0) return false;
    if (isRulesDue) this.#rulesAtMs = nowMs;
    this.#settledAtMs = nowMs;
    this.#sending = records;
    this.#hasLanded = false;
    return true;
  }

  #confirm({ acks, settle, stream }: Attempt): void {
    const { world, postgres } = this.#parts;
    acks.settle(settle.settled);
    if (acks.confirmable <= postgres.slot.confirmed) return;
    checkConfirmed(world, stream.branch, postgres.slot.confirmed, acks.confirmable);
    postgres.slot.confirmed = acks.confirmable;
    if (world.random.oneIn(4)) postgres.slot.persisted = acks.confirmable;
  }
}

function textOf(log: SimLog, { partition, record }: PartitionRecord): string {
  const items = record.transactions
    .map(({ commitLsn, ordinal, items: all }) => `${commitLsn}:${ordinal}+${all.length}`)
    .join(' ');
  return (
    `partition ${partition}, record ${log.bounds(partition).next - 1} of source epoch ${record.sourceEpoch.number}: ` +
    `[${record.from}, ${record.to}) settled ${record.settledPrimary} sent through ${record.sentThrough} items ${items}`
  );
}
