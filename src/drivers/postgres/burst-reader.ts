import type { Duplex } from 'node:stream';

/** A block of this size, or blocks that add up to it within `REST_MS`, come from a backlog. */
const BURST_BYTES = 16 * 1024;
/** How long a backlog is left to gather in the socket. */
const REST_MS = 1;

/**
 * Reads lazily under load. The walsender calls `send` once a message; a reader who waits on the socket is woken by each, takes a few
 * hundred bytes, and the two do little but switch. Left alone for a moment, the socket fills and is read in large blocks. A lone commit is
 * read at once: only what follows a burst waits, for a timer's tick.
 *
 * Measured on two cores with PostgreSQL 18, against reading eagerly: 200,000 rows in one transaction 340,000 rows/s for 175,000; 200,000
 * transactions of one row 148,000/s for 51,000, at a fifteenth of our CPU. Rests of 2 ms and more, and no rest after a full block, lost.
 */
export class BurstReader {
  readonly #stream: Duplex;
  #bytes = 0;
  #sinceMs = 0;
  #restTimer: NodeJS.Timeout | undefined;
  #isHeld = false;

  constructor(stream: Duplex) {
    this.#stream = stream;
  }

  /** Call after each block has been worked off. */
  took(bytes: number): void {
    const nowMs = performance.now();
    if (nowMs - this.#sinceMs > REST_MS) {
      this.#sinceMs = nowMs;
      this.#bytes = 0;
    }
    this.#bytes += bytes;
    if (this.#bytes < BURST_BYTES || this.#restTimer !== undefined) return;
    this.#stream.pause();
    this.#restTimer = setTimeout(() => this.#rested(), REST_MS);
  }

  /** Stops reading until `release`. */
  hold(): void {
    this.#isHeld = true;
    this.#stream.pause();
  }

  release(): void {
    this.#isHeld = false;
    if (this.#restTimer === undefined) this.#stream.resume();
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  stop(): void {
    clearTimeout(this.#restTimer);
    this.#restTimer = undefined;
  }

  #rested(): void {
    this.#restTimer = undefined;
    if (!this.#isHeld) this.#stream.resume();
  }
}
