import { encodeRecord } from '../protocol/record-codec.ts';
import { isBusError } from '../protocol/errors.ts';
import type { RulesNotice } from '../protocol/log-record.ts';
import type { SourceEpoch } from '../protocol/source-epoch.ts';
import type { Clock } from '../runtime/clock.ts';
import { Wake } from '../runtime/wake.ts';
import type { AckTracker } from './ack-tracker.ts';
import type { AsOfTracker } from './as-of.ts';
import type { Batcher } from './batch.ts';
import type { DecodeSink } from './decode-sink.ts';
import type { Source, SourceStream } from './from-postgres.ts';
import type { FreshnessProbe } from './freshness-probe.ts';
import type { RelayObserver } from './observe.ts';
import type { SettleTracker } from './settle.ts';
import type { LogWriter } from './to-log.ts';

/** An idle partition gets a record this often: it moves watermark, confirmation and staleness. */
const IDLE_EVERY_MS = 250;
/** The rules go into every partition this often: for so long at most a region whose Redis was emptied can store nothing. */
const RULES_EVERY_MS = 2000;
/** A settled mark that a partition lacks is sent at most this often, unless data goes there anyway. */
const SETTLED_EVERY_MS = 5;
/** Between two snapshots while a transaction is not visible yet. */
const SNAPSHOT_EVERY_MS = 2;
/** Between two looks at a catalog that does not show yet what the stream has described. */
const RELEARN_EVERY_MS = 100;
/** What a drain waits for the last transactions to become visible, so that they are confirmed and not sent again. */
const DRAIN_SETTLE_MS = 1000;

/** How long the stream of a server that shuts down may take to end. */
const SHUTDOWN_MS = 1500;

export interface PumpParts {
  readonly source: Source;
  readonly stream: SourceStream;
  readonly log: LogWriter;
  readonly batcher: Batcher;
  readonly settle: SettleTracker;
  readonly acks: AckTracker;
  readonly asOf: AsOfTracker;
  readonly freshness: FreshnessProbe;
  readonly observer: RelayObserver;
  readonly clock: Clock;
}

export interface PumpFacts {
  readonly bus: string;
  readonly sourceEpoch: SourceEpoch;
  readonly rules: RulesNotice;
  /** Called after each send that the log has taken. */
  readonly landed: () => void;
}

/**
 * Moves what was decoded into the log, one send at a time: while one is out, the next gathers. Beside it a loop settles, by
 * snapshots of the source, while anything is unsettled and not otherwise, and another measures how fresh all is. Reading stops while either of the first two is full.
 */
export class Pump {
  readonly #parts: PumpParts;
  readonly #facts: PumpFacts;
  readonly #sendWake = new Wake();
  readonly #settleWake = new Wake();
  readonly #failed = Promise.withResolvers<never>();
  #sink: DecodeSink | undefined;
  readonly #ending = new AbortController();
  #isPaused = false;
  #isRelearning = false;
  #idleAtMs = 0;
  #rulesAtMs = -RULES_EVERY_MS;
  #settledAtMs = 0;

  constructor(parts: PumpParts, facts: PumpFacts) {
    this.#parts = parts;
    this.#facts = facts;
    this.#failed.promise.catch(() => undefined);
  }

  start(sink: DecodeSink): void {
    this.#sink = sink;
    this.#parts.stream.start(sink);
  }

  /** Called within the stream's events: something was decoded. */
  wake(): void {
    const { batcher, settle, stream } = this.#parts;
    if (!this.#isPaused && (batcher.isFull || settle.isFull)) {
      this.#isPaused = true;
      stream.pause();
    }
    this.#sendWake.notify();
    if (settle.isWaiting) this.#settleWake.notify();
  }

  /** Reads the catalog beside the loops, until `read` says that it need not be read again. A failure ends the attempt. */
  relearn(read: () => Promise<boolean>): void {
    if (this.#isRelearning) return;
    this.#isRelearning = true;
    this.#relearnLoop(read).catch((error: unknown) => this.#failed.reject(error));
  }

  async #relearnLoop(read: () => Promise<boolean>): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted && (await read())) await this.#parts.clock.sleep(RELEARN_EVERY_MS, signal);
    this.#isRelearning = false;
  }

  /** Runs until the server ends the stream in order or a drain is done; rejects when anything fails. */
  async run(drain: AbortSignal, stop: AbortSignal): Promise<'clean' | 'drained'> {
    const signal = AbortSignal.any([this.#ending.signal, stop]);
    const ended = this.#parts.stream.ended.then((how) => (how === 'clean' ? 'clean' : 'drained'));
    const loops = [this.#sendLoop(signal), this.#settleLoop(signal), this.#parts.freshness.run(signal)];
    try {
      const first = await Promise.race([ended, this.#failed.promise, ...loops, aborted(drain), aborted(stop)]);
      if (first === 'clean') return 'clean';
      if (drain.aborted && !stop.aborted) await Promise.race([this.#drained(signal), this.#failed.promise, ...loops]);
      return 'drained';
    } catch (error) {
      if (mayBeShutdown(error) && (await this.#endsInOrder(ended))) return 'clean';
      throw error;
    } finally {
      this.#ending.abort();
      await Promise.allSettled(loops);
    }
  }

  /** A server that shuts down ends SQL sessions before it ends the stream. In order, nothing of it was lost. */
  async #endsInOrder(ended: Promise<'clean' | 'drained'>): Promise<boolean> {
    const waiting = new AbortController();
    const late = this.#parts.clock.sleep(SHUTDOWN_MS, waiting.signal).then(() => 'late');
    const how = await Promise.race([ended.catch(() => 'failed'), late]);
    waiting.abort();
    return how === 'clean';
  }

  async #sendLoop(signal: AbortSignal): Promise<undefined> {
    while (!signal.aborted) {
      const waitMs = await this.#sendOnce();
      if (waitMs > 0) await this.#sendWake.wait(waitMs, signal);
    }
  }

  /** Sends what is due and returns how long there will be nothing, if nothing is decoded meanwhile. */
  async #sendOnce(): Promise<number> {
    const { batcher, settle, observer, log, acks } = this.#parts;
    const startedAtMs = this.#parts.clock.monotonicMs();
    const due = this.#due(startedAtMs);
    const records = batcher.take(
      {
        bus: this.#facts.bus,
        sourceEpoch: this.#facts.sourceEpoch,
        settledPrimary: settle.settled,
        asOfMs: (complete) => this.#parts.asOf.at(complete),
        ...(due.rules ? { rules: this.#facts.rules } : {}),
      },
      due,
    );
    this.#parts.asOf.forgetBelow(batcher.takenThrough);
    if (due.idle) {
      this.#idleAtMs = startedAtMs;
      this.#parts.stream.requestKeepalive();
    }
    if (records.length === 0) return due.nextMs;
    if (due.rules) this.#rulesAtMs = startedAtMs;
    this.#settledAtMs = startedAtMs;
    const outgoing = records.map(({ partition, record }) => ({ partition, value: encodeRecord(record) }));
    await log.send(outgoing);
    this.#facts.landed();
    for (const { partition, record } of records) acks.acknowledge(partition, record.to);
    const bytes = outgoing.reduce((sum, { value }) => sum + Buffer.byteLength(value), 0);
    observer.sent(records.length, bytes, (this.#parts.clock.monotonicMs() - startedAtMs) / 1000);
    this.#confirm();
    return 0;
  }

  #due(nowMs: number): {
    readonly idle: boolean;
    readonly rules: boolean;
    readonly settled: boolean;
    readonly nextMs: number;
  } {
    const idleInMs = this.#idleAtMs + IDLE_EVERY_MS - nowMs;
    const settledInMs = this.#settledAtMs + SETTLED_EVERY_MS - nowMs;
    const owesSettled = this.#parts.batcher.owesSettled(this.#parts.settle.settled);
    return {
      idle: idleInMs <= 0,
      rules: nowMs - this.#rulesAtMs >= RULES_EVERY_MS,
      settled: owesSettled && settledInMs <= 0,
      nextMs: Math.max(1, owesSettled ? Math.min(idleInMs, settledInMs) : idleInMs),
    };
  }

  async #settleLoop(signal: AbortSignal): Promise<undefined> {
    const { settle, source, acks, clock } = this.#parts;
    while (!signal.aborted) {
      if (!settle.isWaiting) await this.#settleWake.wait(IDLE_EVERY_MS, signal);
      if (!settle.isWaiting) {
        acks.settle(settle.settled);
        continue;
      }
      settle.observe(await source.snapshot());
      acks.settle(settle.settled);
      this.#confirm();
      this.#sendWake.notify();
      // Not cut short by what is decoded meanwhile: at thousands of commits a second that would be a snapshot for each.
      if (settle.isWaiting) await clock.sleep(SNAPSHOT_EVERY_MS, signal);
    }
  }

  #confirm(): void {
    const { acks, settle, stream, batcher, observer } = this.#parts;
    acks.settle(settle.settled);
    const received = this.#sink?.received ?? acks.confirmable;
    stream.confirm(received, acks.confirmable);
    observer.progress({
      received,
      decodedThrough: batcher.decodedThrough,
      settled: settle.settled,
      confirmed: acks.confirmable,
      unsettledTransactions: settle.waitingCount,
      pendingItems: batcher.pendingItems,
    });
    if (this.#isPaused && !batcher.isFull && !settle.isFull) {
      this.#isPaused = false;
      stream.resume();
    }
  }

  /** Reads no more, sends what was decoded, and waits a little for it to settle, so that a restart repeats little or nothing. */
  async #drained(signal: AbortSignal): Promise<undefined> {
    const { stream, batcher, settle, acks, clock } = this.#parts;
    this.#isPaused = false;
    stream.pause();
    const untilMs = clock.monotonicMs() + DRAIN_SETTLE_MS;
    while (!signal.aborted) {
      const isDone =
        batcher.pendingItems === 0 && (acks.confirmable >= batcher.decodedThrough || clock.monotonicMs() >= untilMs);
      if (isDone) return;
      this.#sendWake.notify();
      if (settle.isWaiting) this.#settleWake.notify();
      await clock.sleep(SETTLED_EVERY_MS, signal);
    }
  }
}

/** Where a look comes after the end of its session, another session is refused. */
function mayBeShutdown(error: unknown): boolean {
  return isBusError(error, 'POSTGRES_SHUTDOWN') || isBusError(error, 'POSTGRES_UNREACHABLE');
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    else signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
