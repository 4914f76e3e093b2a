import { type BatchFacts, BatchPlan } from '../../src/agent/batch-plan.ts';
import { type EpochReason, judge, placeInLog, type Position, startEpoch } from '../../src/agent/plan.ts';
import type { ApplyAnswer, StoredCell } from '../../src/agent/region-store.ts';
import { NOTHING_SETTLED, type SettledMark } from '../../src/protocol/settled-mark.ts';
import type { SimLog, SimRecord } from './log.ts';
import type { Branch } from './postgres.ts';
import type { SimRegion } from './region.ts';
import type { World } from './world.ts';

/** As in cell.ts. */
const QUEUE_RECORDS_MAX = 2000;
const QUIET_MS = 1000;

export interface CellWorkParts {
  readonly world: World;
  readonly log: SimLog;
  readonly region: SimRegion;
  readonly facts: BatchFacts;
  readonly token: string;
  /** Told when an epoch has begun. */
  readonly begun: () => void;
}

interface Queued extends SimRecord {
  readonly offset: number;
}

interface SentBatch {
  readonly plan: BatchPlan;
  readonly branch: Branch | undefined;
  readonly next: (() => void) | undefined;
  answer?: ApplyAnswer;
}

/** A cell that an agent owns: the steps of cell.ts, one at a time, around the deciding code itself. */
export class CellWork {
  readonly cell: number;
  readonly #parts: CellWorkParts;
  #queue: Queued[] = [];
  #readFrom = 0;
  #position: Position | undefined;
  #storedOffset: number | null = null;
  #reason: EpochReason = 'cold';
  #gapSeenAt: number | undefined;
  #isSuspect = false;
  #heardAtMs = 0;
  /** A script that is out: not carried out yet, or carried out and not answered. */
  #sent: SentBatch | undefined;
  settledReplica: SettledMark = NOTHING_SETTLED;
  isLost = false;

  constructor(cell: number, parts: CellWorkParts, stored: StoredCell, distrust: boolean) {
    this.cell = cell;
    this.#parts = parts;
    this.#resume(stored, distrust);
  }

  get position(): Position | undefined {
    return this.#position;
  }

  get isBehindReplicas(): boolean {
    if (this.#position === undefined) return false;
    const { timeline, lsn } = this.settledReplica;
    return timeline !== this.#position.sourceEpoch.timeline || lsn < this.#position.watermark;
  }

  get hasReplicas(): boolean {
    return this.#parts.region.replicas.length > 0;
  }

  get isSending(): boolean {
    return this.#sent !== undefined;
  }

  get isIdle(): boolean {
    const { log } = this.#parts;
    return (
      this.#sent === undefined &&
      this.#queue.length === 0 &&
      this.#position !== undefined &&
      this.#position.offset === log.bounds(this.cell).next - 1
    );
  }

  /** What was sent when the connection broke, for a server that still carries it out. */
  abandon(): (() => void) | undefined {
    const sent = this.#sent;
    if (sent === undefined || sent.answer !== undefined) return undefined;
    const { world, region, token } = this.#parts;
    return () => {
      const answer = region.apply(this.cell, token, sent.plan, sent.branch);
      if (answer.kind !== 'applied') world.seen.takeoverWithLateBatch += 1;
    };
  }

  act(): boolean {
    const { world } = this.#parts;
    if (this.#sent !== undefined) return this.#finish(this.#sent);
    if (this.#isSuspect) return this.#readAnew();
    if (world.random.oneIn(2) && this.#fetch()) return true;
    if (this.#queue.length > 0) return this.#step();
    return this.#fetch() || this.#lookAtQuietLog();
  }

  beaten(offset: number | null): void {
    if (this.#sent !== undefined || this.#position === undefined || offset === this.#position.offset) return;
    this.#parts.world.seen.agentSawAnotherRedis += 1;
    this.#isSuspect = true;
  }

  #fetch(): boolean {
    const { world, log } = this.#parts;
    const { first, next } = log.bounds(this.cell);
    if (this.#readFrom < first) this.#readFrom = first;
    if (this.#readFrom >= next) return false;
    const upTo = Math.min(next, this.#readFrom + 1 + world.random.below(4));
    for (let offset = this.#readFrom; offset < upTo; offset++) {
      // A reader that leaves one out: the gap is seen, and the record read again.
      if (world.strikes('deliveryLoss', 100)) continue;
      this.#queue.push({ ...(log.at(this.cell, offset) as SimRecord), offset });
    }
    this.#readFrom = upTo;
    if (this.#queue.length > QUEUE_RECORDS_MAX) world.fail('I8', 'a cell queues more records than it may');
    return true;
  }

  #resume(stored: StoredCell, distrust: boolean): void {
    if (stored === null) return this.#await('cold');
    this.#storedOffset = stored.offset;
    if (distrust) return this.#await('unrelated server');
    const place = placeInLog(stored.offset, this.#parts.log.bounds(this.cell));
    if (place !== 'within') {
      if (place === 'before the log') this.#parts.world.seen.positionBeforeLog += 1;
      else this.#parts.world.seen.positionBeyondLog += 1;
      return this.#await(place);
    }
    this.#position = stored;
    this.settledReplica = stored.settledReplica;
    this.#read(stored.offset + 1);
  }

  #readAnew(): boolean {
    this.#isSuspect = false;
    const stored = this.#parts.region.redis.cell(this.cell).read();
    if (stored === null) this.#await('lost');
    else this.#resume(stored, false);
    return true;
  }

  #await(reason: EpochReason): void {
    this.#position = undefined;
    this.#reason = reason;
    if (reason === 'cold' || reason === 'lost') this.#storedOffset = null;
    const { first, next } = this.#parts.log.bounds(this.cell);
    this.#read(Math.max(first, next - 1));
  }

  #read(from: number): void {
    this.#queue = [];
    this.#readFrom = from;
    this.#heardAtMs = this.#parts.world.nowMs;
  }

  #lookAtQuietLog(): boolean {
    const { world, log } = this.#parts;
    if (this.#position === undefined || world.nowMs - this.#heardAtMs < QUIET_MS) return false;
    this.#heardAtMs = world.nowMs;
    if (placeInLog(this.#position.offset, log.bounds(this.cell)) === 'beyond the log') {
      world.seen.positionBeyondLog += 1;
      this.#await('beyond the log');
    }
    return true;
  }

  #step(): boolean {
    const { world, facts } = this.#parts;
    this.#heardAtMs = world.nowMs;
    if (this.#position === undefined) return this.#beginEpoch();
    const plan = new BatchPlan(facts, this.#position);
    let branch: Branch | undefined;
    let taken = 0;
    let then: (() => void) | undefined;
    while (then === undefined && !plan.isFull) {
      const next = this.#queue[taken];
      if (next === undefined) break;
      const verdict = judge(plan.position, next.offset, next.record);
      if (verdict.kind === 'apply') {
        plan.add(next.offset, next.record, verdict.interval);
        if (verdict.interval) branch = next.branch;
        else world.seen.lateEpochApplied += 1;
      } else if (verdict.kind === 'gap') then = () => this.#gap(next.offset, verdict.reason);
      else if (verdict.kind === 'epoch') then = () => this.#epochWithNext(verdict.reason);
      if (then === undefined) taken += 1;
    }
    this.#queue.splice(0, taken);
    if (plan.records > 0) this.#sent = { plan, branch, next: then };
    else then?.();
    return true;
  }

  /** The script is carried out in one step, and answered in a later one. */
  #finish(sent: SentBatch): boolean {
    const { region, token, world } = this.#parts;
    if (sent.answer === undefined) {
      sent.answer = region.apply(this.cell, token, sent.plan, sent.branch);
      if (world.trace !== undefined)
        world.note(`${region.name}: cell ${this.cell}, apply up to ${sent.plan.position.offset}: ${sent.answer.kind}`);
      return true;
    }
    this.#sent = undefined;
    if (sent.answer.kind === 'applied') {
      if (world.plant !== undefined) region.applyRest(this.cell, sent.plan, sent.branch);
      this.#position = sent.plan.position;
      this.#storedOffset = sent.plan.position.offset;
      this.#gapSeenAt = undefined;
      sent.next?.();
      return true;
    }
    this.#refused(sent.answer);
    return true;
  }

  #refused(answer: ApplyAnswer): void {
    if (answer.kind === 'owner') this.isLost = true;
    else if (answer.kind === 'lost') this.#await('lost');
    else {
      this.#parts.world.seen.applyRefusedByPosition += 1;
      this.#readAnew();
    }
  }

  #beginEpoch(): boolean {
    const { world, region, token } = this.#parts;
    const next = this.#queue[0] as Queued;
    const { position, floor } = startEpoch(next.offset, next.record);
    const name = world.name('e');
    const epoch = { name, after: this.#storedOffset, ...position, floor };
    const former = region.redis.cell(this.cell).position;
    const answer = region.beginEpoch(this.cell, token, epoch, next.branch);
    world.note(
      `${region.name}: cell ${this.cell}, epoch ${name} (${this.#reason}) from ${next.offset}, floor ${floor}: ${answer.kind}`,
    );
    if (answer.kind !== 'applied') {
      this.#refused(answer);
      return true;
    }
    if (this.#reason === 'source') world.seen.sourceEpochChange += 1;
    if (former !== undefined && former.sourceEpoch.timeline !== position.sourceEpoch.timeline)
      world.seen.timelineChanged += 1;
    if (this.#reason === 'offset gap' || this.#reason === 'interval gap') world.seen.gapNewEpoch += 1;
    this.#parts.begun();
    this.settledReplica = NOTHING_SETTLED;
    this.#position = { ...position, epoch: name };
    this.#storedOffset = position.offset;
    this.#gapSeenAt = undefined;
    return true;
  }

  #gap(offset: number, reason: EpochReason): void {
    if (this.#gapSeenAt === offset) return this.#epochWithNext(reason);
    this.#parts.world.seen.gapReadAgain += 1;
    this.#gapSeenAt = offset;
    this.#read((this.#storedOffset ?? -1) + 1);
  }

  #epochWithNext(reason: EpochReason): void {
    this.#position = undefined;
    this.#reason = reason;
  }
}
