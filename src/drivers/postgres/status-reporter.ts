import { LSN_ZERO, type Lsn, lsnMax } from '../../protocol/lsn.ts';
import { standbyStatus } from './standby-status.ts';

/** Progress is told to the server at most this often, unless it asks. */
const PROGRESS_EVERY_MS = 1000;

export interface StatusReporterParts {
  readonly write: (bytes: Buffer) => void;
  /** A status goes out at least this often, whatever is read or not. */
  readonly everyMs: number;
  readonly monotonicMs: () => number;
}

/**
 * Tells the server how far it may forget. On a timer of its own: a paused socket, or a busy decoder that reads no keepalive, must not
 * make the walsender take us for dead.
 */
export class StatusReporter {
  readonly #send: (bytes: Buffer) => void;
  readonly #monotonicMs: () => number;
  readonly #timer: NodeJS.Timeout;
  #progressTimer: NodeJS.Timeout | undefined;
  #received: Lsn = LSN_ZERO;
  #flush: Lsn = LSN_ZERO;
  #sentFlush: Lsn = LSN_ZERO;
  #sentAtMs = -Infinity;

  constructor({ write, everyMs, monotonicMs }: StatusReporterParts) {
    this.#send = write;
    this.#monotonicMs = monotonicMs;
    this.#timer = setInterval(() => this.sendNow(), everyMs);
  }

  /** Whether something was confirmed that the server has not been told. */
  get hasProgress(): boolean {
    return this.#flush > this.#sentFlush;
  }

  /** Remembers; never goes back. */
  confirm(write: Lsn, flush: Lsn): void {
    this.#received = lsnMax(this.#received, lsnMax(write, flush));
    this.#flush = lsnMax(this.#flush, flush);
    if (!this.hasProgress || this.#progressTimer !== undefined) return;
    const dueInMs = this.#sentAtMs + PROGRESS_EVERY_MS - this.#monotonicMs();
    if (dueInMs <= 0) this.sendNow();
    else this.#progressTimer = setTimeout(() => this.sendNow(), dueInMs);
  }

  sendNow(replyRequested = false): void {
    clearTimeout(this.#progressTimer);
    this.#progressTimer = undefined;
    this.#sentAtMs = this.#monotonicMs();
    this.#sentFlush = this.#flush;
    this.#send(standbyStatus({ write: this.#received, flush: this.#flush, nowMs: Date.now(), replyRequested }));
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#progressTimer);
  }
}
