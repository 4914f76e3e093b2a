import { LSN_ZERO, type Lsn } from '../../protocol/lsn.ts';

/**
 * Decides whether the server is shutting down. A walsender then asks for a reply after each reply, until all that it sent is confirmed,
 * and holds `pg_ctl stop` meanwhile. Else it asks once in half of wal_sender_timeout, if it heard nothing.
 *
 *     keepalive 0/50 reply!   answered at once
 *     keepalive 0/50 reply!   again, with nothing between: the server waits for the flush of 0/50
 *
 * Measured on PostgreSQL 15 and 18: some thousand such keepalives a second, if each is answered.
 */
export class ShutdownWatch {
  readonly #soonMs: number;
  #askedAtMs = -Infinity;
  #walEnd = LSN_ZERO;
  #isShuttingDown = false;

  /** Two requests within `soonMs` are a sign: a part of half the wal_sender_timeout. */
  constructor(soonMs: number) {
    this.#soonMs = soonMs;
  }

  get isShuttingDown(): boolean {
    return this.#isShuttingDown;
  }

  /** A change came: the server has not yet sent all that it has. */
  change(): void {
    this.#askedAtMs = -Infinity;
    this.#isShuttingDown = false;
  }

  /** A keepalive asked for a reply. */
  asked(walEnd: Lsn, nowMs: number): void {
    this.#isShuttingDown = walEnd === this.#walEnd && nowMs - this.#askedAtMs < this.#soonMs;
    this.#walEnd = walEnd;
    this.#askedAtMs = nowMs;
  }
}
