import { BusError, isBusError } from '../protocol/errors.ts';
import type { LogRecord, Offset } from '../protocol/log-record.ts';
import { decodeRecord } from '../protocol/record-codec.ts';
import type { SourceEpoch } from '../protocol/source-epoch.ts';
import { NOTHING_SETTLED, type SettledMark } from '../protocol/settled-mark.ts';
import { answerWithin } from '../runtime/answer-within.ts';
import type { Clock } from '../runtime/clock.ts';
import { Wake } from '../runtime/wake.ts';
import { BatchPlan, type BatchFacts } from './batch-plan.ts';
import { BOUNDS_TIMEOUT_MS, type IncomingRecord, type LogBounds, type LogReader } from './from-log.ts';
import type { AgentObserver } from './observe.ts';
import { type EpochReason, judge, mayBegin, placeInLog, type Position, startEpoch } from './plan.ts';
import type { ApplyAnswer, RegionStore, StoredCell } from './region-store.ts';

/** Records that wait for a cell; beyond, its partition is paused until half of them are applied. */
const QUEUE_RECORDS_MAX = 2000;
const QUIET_MS = 1000;

export interface CellParts {
  readonly store: RegionStore;
  readonly reader: LogReader;
  readonly clock: Clock;
  readonly observer: AgentObserver;
  readonly facts: BatchFacts;
  readonly token: string;
  /** A random name for an epoch. */
  readonly epochName: () => string;
  /** Told when an epoch has begun: what is stored is ours again. */
  readonly begun: () => void;
}

export type CellEnd = 'stopped' | 'another owner' | 'incomprehensible';

/**
 * One cell that this agent owns: reads its partition and applies it, one script at a time. The position is known from the script that
 * took the cell and moves with each answer; whenever an answer does not fit, it is read anew, and the partition with it.
 */
export class Cell {
  readonly cell: number;
  readonly #parts: CellParts;
  readonly #wake = new Wake();
  #queue: IncomingRecord[] = [];
  #isPaused = false;
  /** Undefined while an epoch is to begin with the next record that comes. */
  #position: Position | undefined;
  #storedOffset: Offset | null = null;
  #epochReason: EpochReason = 'cold';
  /** The source epoch that the cell was in; undefined where what is known is of another log or another server. */
  #sourceEpoch: SourceEpoch | undefined;
  /** The offset at which a gap was seen once. */
  #gapSeenAt: Offset | undefined;
  /** Ends the question of a quiet log as it is quiet no more. */
  #quiet: AbortController | undefined;
  #asOfMs = 0;
  #isBusy = false;
  #isSuspect = false;
  #heardAtMs = 0;
  #signal = AbortSignal.abort();
  sweepsMayBeOwed = true;
  /** Owed sweeps for which this agent has scanned already: what is owed still waits for an agent with another file. */
  swept = new Map<string, string>();
  refreshesMayBeOwed = true;
  /** The settled mark of the replicas that was last written to the cell. */
  settledReplica: SettledMark = NOTHING_SETTLED;

  constructor(cell: number, parts: CellParts) {
    this.cell = cell;
    this.#parts = parts;
  }

  get position(): Position | undefined {
    return this.#position;
  }

  /** Postgres's clock as of what is applied, Unix time in milliseconds; 0 if nothing is. */
  get asOfMs(): number {
    return this.#asOfMs;
  }

  /** Whether the replicas have not settled everything that is applied. A mark of another timeline settles nothing. */
  get isBehindReplicas(): boolean {
    if (this.#position === undefined) return false;
    const { timeline, lsn } = this.settledReplica;
    return timeline !== this.#position.sourceEpoch.timeline || lsn < this.#position.watermark;
  }

  /** Takes delivered records. Never waits. */
  deliver(records: readonly IncomingRecord[]): void {
    this.#queue.push(...records);
    this.#quiet?.abort();
    if (!this.#isPaused && this.#queue.length >= QUEUE_RECORDS_MAX) {
      this.#isPaused = true;
      this.#parts.reader.pause(this.cell);
    }
    this.#wake.notify();
  }

  /** Works until the signal, or until the cell is another's or cannot go on. `distrust`: what is stored is somebody else's. */
  async run(stored: StoredCell, distrust: boolean, signal: AbortSignal): Promise<CellEnd> {
    this.#signal = signal;
    await this.#resume(stored, distrust);
    while (!signal.aborted) {
      if (this.#isSuspect) await this.#readAnew();
      if (this.#queue.length === 0) {
        await this.#wake.wait(QUIET_MS, signal);
        if (this.#queue.length === 0 && !this.#isSuspect && !signal.aborted) await this.#lookAtQuietLog();
        continue;
      }
      this.#isBusy = true;
      const end = await this.#step();
      this.#isBusy = false;
      if (end !== undefined) return end;
      this.#resumeReading();
    }
    return 'stopped';
  }

  /** What a beat of the owner read from Redis. Another offset than ours, while no script is under way, is another Redis. */
  beaten(offset: Offset | null): void {
    if (this.#isBusy || this.#position === undefined || offset === this.#position.offset) return;
    this.#isSuspect = true;
    this.#wake.notify();
  }

  /** Sets out from what is stored: behind the stored offset, or, where that is no place in the log, from its last record. */
  async #resume(stored: StoredCell, distrust = false): Promise<void> {
    if (stored === null) return this.#await('cold');
    this.#storedOffset = stored.offset;
    this.#sourceEpoch = stored.sourceEpoch;
    if (distrust) return this.#await('unrelated server');
    // Known from here on, though the log be away: how far behind a cell is that waits for it.
    this.#asOfMs = stored.asOfMs;
    const place = placeInLog(stored.offset, await this.#bounds());
    if (place !== 'within') return this.#await(place);
    this.#position = stored;
    this.settledReplica = stored.settledReplica;
    await this.#read(stored.offset + 1);
  }

  async #readAnew(): Promise<void> {
    this.#isSuspect = false;
    // Another Redis may owe what this one has done.
    this.sweepsMayBeOwed = true;
    this.swept = new Map();
    this.refreshesMayBeOwed = true;
    const stored = await this.#parts.store.read(this.cell);
    if (stored === null) return this.#await('lost');
    await this.#resume(stored);
  }

  /** Waits for a record to begin an epoch with: the last that the log holds, or the first that comes. */
  async #await(reason: EpochReason): Promise<void> {
    this.#position = undefined;
    this.#epochReason = reason;
    if (reason === 'cold' || reason === 'lost') this.#storedOffset = null;
    if (reason === 'beyond the log' || reason === 'unrelated server') this.#sourceEpoch = undefined;
    const { first, next } = await this.#bounds();
    await this.#read(Math.max(first, next - 1));
  }

  async #read(from: Offset): Promise<void> {
    this.#queue = [];
    await this.#parts.reader.take(this.cell, from);
    this.#queue = [];
    this.#isPaused = false;
    this.#heardAtMs = this.#parts.clock.monotonicMs();
  }

  /** Waits for a log that is away, or hangs: that is no failure of the region's Redis. Rejects where the cell is stopped meanwhile. */
  async #bounds(): Promise<LogBounds> {
    for (;;) {
      this.#signal.throwIfAborted();
      const bounds = await this.#askBounds(this.#signal);
      if (bounds !== undefined) return bounds;
      await this.#parts.clock.sleep(QUIET_MS, this.#signal);
    }
  }

  /** Asks once. Undefined where the log is away, or has not answered in time or before the signal. */
  async #askBounds(signal: AbortSignal): Promise<LogBounds | undefined> {
    const { reader, clock } = this.#parts;
    const asked = answerWithin(reader.bounds(), BOUNDS_TIMEOUT_MS, clock, signal);
    const all = await asked.catch((error: unknown) => {
      if (isBusError(error) && error.retry === 'retry') return undefined;
      throw error;
    });
    if (all === undefined) return undefined;
    const bounds = all[this.cell];
    if (bounds === undefined) throw new RangeError(`The log has no partition ${this.cell}.`);
    return bounds;
  }

  /** A log that says nothing may have lost its end: a position beyond it would wait for ever. */
  async #lookAtQuietLog(): Promise<void> {
    if (this.#position === undefined || this.#parts.clock.monotonicMs() - this.#heardAtMs < QUIET_MS) return;
    this.#heardAtMs = this.#parts.clock.monotonicMs();
    // What comes meanwhile is applied without the answer: a log may deliver, and not tell its bounds.
    this.#quiet = new AbortController();
    const signal = AbortSignal.any([this.#signal, this.#quiet.signal]);
    const bounds = await this.#askBounds(signal).catch((error: unknown) => {
      // A log that is away says nothing; it is asked again.
      if (isBusError(error)) return undefined;
      throw error;
    });
    if (
      bounds !== undefined &&
      this.#position !== undefined &&
      placeInLog(this.#position.offset, bounds) === 'beyond the log'
    ) {
      await this.#await('beyond the log');
    }
  }

  #resumeReading(): void {
    if (!this.#isPaused || this.#queue.length > QUEUE_RECORDS_MAX / 2) return;
    this.#isPaused = false;
    this.#parts.reader.resume(this.cell);
  }

  /** Applies what one script can hold, or does the one other thing that the next record asks for. */
  async #step(): Promise<CellEnd | undefined> {
    this.#heardAtMs = this.#parts.clock.monotonicMs();
    if (this.#position === undefined) return this.#beginEpoch();
    const plan = new BatchPlan(this.#parts.facts, this.#position);
    let taken = 0;
    let then: (() => Promise<void>) | undefined;
    let end: CellEnd | undefined;
    while (then === undefined && end === undefined && !plan.isFull) {
      const next = this.#queue[taken];
      if (next === undefined) break;
      const record = this.#decode(next);
      if (record === 'incomprehensible') end = 'incomprehensible';
      else if (record === 'unreadable') then = () => this.#skipUnreadable(next.offset);
      else {
        const verdict = judge(plan.position, next.offset, record);
        if (verdict.kind === 'apply') plan.add(next.offset, record, verdict.interval);
        else if (verdict.kind === 'gap') then = () => this.#gap(next.offset, verdict.reason);
        else if (verdict.kind === 'epoch') then = () => this.#epochWithNext(verdict.reason);
      }
      if (then === undefined && end === undefined) taken += 1;
    }
    this.#queue.splice(0, taken);
    const applied = plan.records > 0 ? await this.#apply(plan) : 'applied';
    // Refused, the cell was read anew: what the next record asked for belongs to where it stood before.
    if (applied === 'read anew') return undefined;
    if (applied !== 'applied') return applied;
    await then?.();
    return end;
  }

  async #apply(plan: BatchPlan): Promise<'applied' | 'read anew' | CellEnd> {
    const { store, clock, observer, token } = this.#parts;
    const startedAtMs = clock.monotonicMs();
    const batch = plan.batch();
    const answer = await store.apply(this.cell, token, batch);
    if (answer.kind !== 'applied') return (await this.#refused(answer)) ?? 'read anew';
    this.#position = plan.position;
    this.#storedOffset = plan.position.offset;
    this.#parts.reader.applied(this.cell, plan.position.offset);
    this.#gapSeenAt = undefined;
    this.#asOfMs = Math.max(this.#asOfMs, batch.asOfMs);
    this.sweepsMayBeOwed ||= plan.maySweep;
    this.refreshesMayBeOwed ||= batch.refreshes.length > 0;
    const nowMs = clock.nowMs();
    observer.applied({
      records: plan.records,
      items: plan.transactions.flatMap((transaction) => transaction.items),
      commitToEvictedSeconds: plan.transactions.map(
        (transaction) => Math.max(0, nowMs - transaction.committedAtMs) / 1000,
      ),
      unlinked: answer.unlinked,
      expired: answer.expired,
      seconds: (clock.monotonicMs() - startedAtMs) / 1000,
    });
    return 'applied';
  }

  async #refused(answer: Exclude<ApplyAnswer, { kind: 'applied' }>): Promise<CellEnd | undefined> {
    this.#parts.observer.refused(this.cell, answer.kind);
    if (answer.kind === 'owner') return 'another owner';
    if (answer.kind === 'lost') await this.#await('lost');
    else await this.#readAnew();
    return undefined;
  }

  async #beginEpoch(): Promise<CellEnd | undefined> {
    const next = this.#queue[0];
    if (next === undefined) return undefined;
    const record = this.#decode(next);
    if (record === 'incomprehensible') return 'incomprehensible';
    if (record === 'unreadable') {
      this.#queue.shift();
      return undefined;
    }
    if (!mayBegin(record, this.#sourceEpoch)) {
      this.#queue.shift();
      return undefined;
    }
    const { position, floor } = startEpoch(next.offset, record);
    const { store, token, epochName, observer } = this.#parts;
    const name = epochName();
    const answer = await store.beginEpoch(this.cell, token, {
      name,
      after: this.#storedOffset,
      ...position,
      floor,
    });
    if (answer.kind !== 'applied') return this.#refused(answer);
    observer.epoch(this.cell, this.#epochReason, floor);
    this.#parts.begun();
    this.settledReplica = NOTHING_SETTLED;
    this.#position = { ...position, epoch: name };
    this.#sourceEpoch = position.sourceEpoch;
    this.#storedOffset = position.offset;
    this.#asOfMs = 0;
    this.#gapSeenAt = undefined;
    this.sweepsMayBeOwed = true;
    this.swept = new Map();
    return undefined;
  }

  /** The first sight of a gap may be the reader's fault: it is asked again. The second is the log's. */
  async #gap(offset: Offset, reason: EpochReason): Promise<void> {
    if (this.#gapSeenAt === offset) return this.#epochWithNext(reason);
    this.#gapSeenAt = offset;
    await this.#read((this.#storedOffset ?? -1) + 1);
  }

  /** The next record, which stays in the queue, begins an epoch. */
  async #epochWithNext(reason: EpochReason): Promise<void> {
    this.#position = undefined;
    this.#epochReason = reason;
  }

  /** What an unreadable record said is lost, so everything is old. The epoch begins with the next record, which fences what this one held. */
  async #skipUnreadable(offset: Offset): Promise<void> {
    this.#queue = this.#queue.filter((record) => record.offset > offset);
    await this.#epochWithNext('unreadable');
  }

  #decode(incoming: IncomingRecord): LogRecord | 'unreadable' | 'incomprehensible' {
    const at = `partition ${this.cell}, offset ${incoming.offset}`;
    try {
      const record = decodeRecord(incoming.value, at);
      if (record.bus === this.#parts.facts.config.bus) return record;
      throw new BusError('RECORD_INVALID', `The record is of the bus "${record.bus}".`, { at });
    } catch (error) {
      if (!(error instanceof BusError)) throw error;
      if (error.code === 'RECORD_VERSION_UNKNOWN') {
        this.#parts.observer.stopped(this.cell, error);
        return 'incomprehensible';
      }
      this.#parts.observer.deadLetter(this.cell, error);
      return 'unreadable';
    }
  }
}
