import { LSN_ZERO, type Lsn, lsnMax } from '../protocol/lsn.ts';
import { isVisible, type Snapshot, widenXid } from '../protocol/snapshot.ts';

/** Transactions that may wait to become visible; beyond, the relay stops reading. A commit held by a synchronous standby waits long. */
export const UNSETTLED_MAX = 100_000;

/**
 * Decides what is settled on the primary. Logical decoding ships a COMMIT before new snapshots can see it, so that a reader who
 * is told of the change at once may still load the old row. Settled is the LSN up to which every decoded transaction is visible:
 *
 *     decoded    T1    T2    T3    T4  ▶ decodedThrough
 *     visible    yes   yes   no    yes
 *     settled          ▲ the end of T2: T3 waits, T4 behind it
 *
 * Visible to one snapshot is visible to every later read, so an old snapshot may speak of a transaction decoded after it.
 */
export class SettleTracker {
  #waiting: { readonly xid: number; readonly endLsn: Lsn }[] = [];
  #head = 0;
  #decodedThrough: Lsn;
  #settled: Lsn;
  #barrier: bigint | undefined;

  /**
   * `start` is what the slot has confirmed, and so settled, if this relay continues a source epoch (see `isStartSettled`). Otherwise commits from
   * before it may still be invisible and were never decoded: `barrier` is a transaction id allocated since; nothing is settled
   * until every older transaction has ended.
   */
  constructor(start: Lsn, barrier?: bigint) {
    this.#decodedThrough = start;
    this.#settled = barrier === undefined ? start : LSN_ZERO;
    this.#barrier = barrier;
  }

  /** An end LSN. It never goes back. */
  get settled(): Lsn {
    return this.#settled;
  }

  /** Whether a look at a new snapshot could raise the settled mark. */
  get isWaiting(): boolean {
    return this.#barrier !== undefined || this.waitingCount > 0;
  }

  get waitingCount(): number {
    return this.#waiting.length - this.#head;
  }

  get isFull(): boolean {
    return this.waitingCount >= UNSETTLED_MAX;
  }

  /** Takes a decoded transaction, in commit order. `xid` is the 32-bit id of the stream. */
  decoded(xid: number, endLsn: Lsn): void {
    this.#waiting.push({ xid, endLsn });
    this.#decodedThrough = lsnMax(this.#decodedThrough, endLsn);
  }

  /** Notes that every transaction that ends at or below `walEnd` has been decoded. */
  decodedThrough(walEnd: Lsn): void {
    this.#decodedThrough = lsnMax(this.#decodedThrough, walEnd);
    if (!this.isWaiting) this.#settled = this.#decodedThrough;
  }

  /** Looks through a snapshot that was just taken. */
  observe(snapshot: Snapshot): void {
    if (this.#barrier !== undefined) {
      if (snapshot.xmin <= this.#barrier) return;
      this.#barrier = undefined;
    }
    let first = this.#waiting[this.#head];
    while (first !== undefined && isVisible(snapshot, widenXid(first.xid, snapshot.xmax))) {
      this.#settled = lsnMax(this.#settled, first.endLsn);
      this.#head += 1;
      first = this.#waiting[this.#head];
    }
    if (first === undefined) this.#settled = lsnMax(this.#settled, this.#decodedThrough);
    this.#forgetVisible();
  }

  /** A shift of the array at each commit would cost its whole length; a slice now and then does not. */
  #forgetVisible(): void {
    if (this.#head < 1024 && this.#head < this.#waiting.length) return;
    this.#waiting = this.#waiting.slice(this.#head);
    this.#head = 0;
  }
}
