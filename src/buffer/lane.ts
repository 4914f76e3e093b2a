import type { BufferConfig } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import { stepAfter } from './append-policy.ts';
import type { AppendAnswer, BufferLog } from './buffer-log.ts';
import type { BufferSink } from './buffer-sink.ts';
import { type BufferValue, encodeItems, type Fold } from './entry.ts';
import { shapeText } from './shape.ts';
import { refusedCall, Window } from './window.ts';
import { WritingThrough } from './writing-through.ts';

export interface LanePorts {
  readonly log: BufferLog;
  /** Needed where `whenFull` is `write-through`. */
  readonly sink?: BufferSink;
  readonly config: BufferConfig;
  readonly fold: Fold;
  readonly clock: Clock;
  readonly random: () => number;
  /** Of this start of this process: letters and digits. */
  readonly writer: string;
  /** Aborted when a drain waits no longer. */
  readonly closing: AbortSignal;
  readonly observer: LaneObserver;
}

export interface LaneObserver {
  refused(calls: number, error: Error): void;
  wroteThrough(calls: number): void;
  /** A window of the partition is older than its time, and is not acknowledged; 0 when none is. */
  waiting(partition: number, ageMs: number): void;
}

/** How long a call waits for a buffer that cannot take it. */
export const BLOCK_MAX_MS = 10_000;
const RETRY = { firstMs: 5, maxMs: 250 };

/**
 * The calls of one partition on their way into the log: gathered, sent, acknowledged.
 *
 *     window    |--- 50 ms ---|      |--- 50 ms ---|
 *     sent                    1 ▶ ✓                2 ▶ ▶ ✓
 *
 * One window is on its way at a time, so the log has a key's values in the order of the calls, and a window that is sent again is never overtaken.
 * While it is on its way the next one gathers.
 */
export class Lane {
  readonly #partition: number;
  readonly #ports: LanePorts;
  readonly #shape: string;
  readonly #through: WritingThrough;
  #window: Window | undefined;
  /** Ends the window's time early. */
  #hurry = new AbortController();
  #running: Promise<void> | undefined;
  #isDraining = false;
  #seq = 0;
  /** The last that may stand in the log. */
  #landedSeq = 0;

  constructor(partition: number, ports: LanePorts) {
    this.#partition = partition;
    this.#ports = ports;
    this.#shape = shapeText(ports.config);
    this.#through = new WritingThrough(partition, ports);
  }

  /** Resolves when the call stands in the log. All calls of a window get the same promise. */
  put(key: string, value: BufferValue, bytes: number): Promise<void> {
    const window = (this.#window ??= this.#open());
    if (window.isFull && !window.has(key)) return this.#overflow();
    window.add(key, value, bytes);
    if (window.isFull) this.#hurry.abort();
    return window.acknowledged;
  }

  /** Sends what is gathered, and resolves when nothing is on its way. */
  async drained(): Promise<void> {
    this.#isDraining = true;
    this.#hurry.abort();
    await this.#running;
  }

  #open(): Window {
    const { fold, clock } = this.#ports;
    this.#hurry = new AbortController();
    if (this.#isDraining) this.#hurry.abort();
    const window = new Window(fold, clock.monotonicMs());
    this.#running ??= this.#run();
    return window;
  }

  #overflow(): Promise<never> {
    const error = new BusError('BUFFER_FULL', `${this.#ports.config.name}: too many keys wait in this process.`);
    this.#ports.observer.refused(1, error);
    return refusedCall(error);
  }

  async #run(): Promise<void> {
    const { clock, config } = this.#ports;
    // The first window is opened in the same step in which this begins.
    await Promise.resolve();
    while (this.#window !== undefined) {
      const leftMs = this.#window.openedMs + config.windowMs - clock.monotonicMs();
      if (leftMs > 0) await clock.sleep(leftMs, this.#hurry.signal);
      const window = this.#window;
      this.#window = undefined;
      await this.#send(window);
      this.#ports.observer.waiting(this.#partition, 0);
    }
    // In the same step as the look for a window: one that is opened a step later would find nobody to send it.
    this.#running = undefined;
  }

  async #send(window: Window): Promise<void> {
    const { log, config, clock, writer, closing } = this.#ports;
    const data = encodeItems(window.items());
    const entry = { writer, seq: ++this.#seq, shape: this.#shape, data, keys: window.keys };
    const sinceMs = this.#dueMs(window);
    let mayHaveLanded = false;
    let isAnswered = false;
    for (let failures = 0; ; failures++) {
      const answer = await log.append(this.#partition, entry, mayHaveLanded);
      if (answer.kind === 'unknown') mayHaveLanded = true;
      if (answer.kind === 'appended' || mayHaveLanded) this.#landedSeq = entry.seq;
      const isLate = closing.aborted || clock.monotonicMs() - sinceMs >= BLOCK_MAX_MS;
      const step = stepAfter(answer.kind, mayHaveLanded, config.whenFull, isLate);
      if (step === 'done') return window.settle();
      if (step === 'shed') return this.#refuse(window, refusal(config.name, answer));
      if (step === 'direct') return this.#writeThrough(window, data, sinceMs, answer);
      const { error } = answer as Exclude<AppendAnswer, { kind: 'appended' }>;
      // It goes on being sent, since its callers cannot be told that it was not taken; but they are told that nobody knows, once.
      if (isLate && !isAnswered) this.#refuse(window, unacknowledged(config.name, error));
      isAnswered ||= isLate;
      if (closing.aborted) return undefined;
      if (mayHaveLanded) await this.#answerBehind(answer.kind === 'unknown' ? { kind: 'away', error } : answer);
      await this.#pause(window, failures);
    }
  }

  /**
   * The window that gathers behind one that is unsure must not overtake it in the log: the unsure one would be taken for written. Its calls are
   * answered in their time all the same, as if it had been sent and got the answer.
   */
  async #answerBehind(answer: AppendAnswer): Promise<void> {
    const { clock, config } = this.#ports;
    const window = this.#window;
    if (window === undefined || clock.monotonicMs() < window.openedMs + config.windowMs) return;
    const sinceMs = this.#dueMs(window);
    const isLate = clock.monotonicMs() - sinceMs >= BLOCK_MAX_MS;
    const step = stepAfter(answer.kind, false, config.whenFull, isLate);
    // A row would have to wait for the unsure one.
    if (step === 'again' || (step === 'direct' && config.kind === 'buffer' && !isLate)) return;
    this.#window = undefined;
    if (step === 'direct' && config.kind === 'counter')
      await this.#writeThrough(window, encodeItems(window.items()), sinceMs, answer);
    else this.#refuse(window, refusal(config.name, answer));
  }

  /** When a window was to be sent: what its calls wait is counted from there. */
  #dueMs({ openedMs }: Window): number {
    const { clock, config } = this.#ports;
    return Math.min(clock.monotonicMs(), openedMs + config.windowMs);
  }

  async #writeThrough(window: Window, data: string, sinceMs: number, answer: AppendAnswer): Promise<void> {
    const { config, clock, closing, observer } = this.#ports;
    const entry = this.#through.next({ shape: this.#shape, data, keys: window.keys });
    let unsure: { readonly error: unknown } | undefined;
    for (let failures = 0; ; failures++) {
      const written = await this.#through.write(entry, this.#landedSeq, sinceMs + BLOCK_MAX_MS);
      if (written.kind === 'written') {
        observer.wroteThrough(window.calls);
        return window.settle();
      }
      if (written.kind === 'unknown') unsure = written;
      if (closing.aborted || clock.monotonicMs() - sinceMs >= BLOCK_MAX_MS)
        return this.#refuse(
          window,
          unsure === undefined ? refusal(config.name, answer) : unacknowledged(config.name, unsure.error),
        );
      await this.#pause(window, failures);
    }
  }

  #refuse(window: Window, error: Error): void {
    this.#ports.observer.refused(window.calls, error);
    window.fail(error);
  }

  async #pause(window: Window, failures: number): Promise<void> {
    const { clock, random, closing, observer } = this.#ports;
    observer.waiting(this.#partition, clock.monotonicMs() - window.openedMs);
    await clock.sleep(backoffMs(failures, RETRY, random), closing);
  }
}

function refusal(buffer: string, answer: AppendAnswer): Error {
  if (answer.kind === 'appended') throw new Error('What was appended is not refused.');
  if (answer.kind === 'refused') return answer.error;
  return new BusError('BUFFER_FULL', `${buffer}: ${answer.error.message}`, { cause: answer.error });
}

function unacknowledged(buffer: string, cause: unknown): Error {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BusError('BUFFER_UNACKNOWLEDGED', `${buffer}: ${why}`, { cause });
}
