import { LSN_ZERO, type Lsn, lsnMax, lsnMin } from '../protocol/lsn.ts';

/**
 * Decides how far Postgres may forget.
 *
 * A record completes its interval, so what a partition has acknowledged is one LSN, the `to` of its last record. Nothing below
 * the lowest of these is needed for delivery; nothing at or above the settled mark may be forgotten, since a relay that confirms
 * what is shipped but not yet visible, and restarts, would never publish it as settled:
 *
 *     partition 0   ──────────────▶ to = 90
 *     partition 1   ────────▶ to = 50              (idle: its empty record of [50, 90) is not acknowledged yet)
 *     settled       ──────────▶ 70
 *     confirmable   ────────▶ 50
 *
 * A crash repeats everything after the confirmed LSN. Agents bear repetition; they cannot bear loss.
 */
export class AckTracker {
  readonly #acknowledged: Lsn[];
  #settled: Lsn = LSN_ZERO;
  #confirmable: Lsn;

  /** `start` is what the slot has confirmed: every partition holds everything below it. */
  constructor(partitions: number, start: Lsn) {
    this.#acknowledged = Array.from({ length: partitions }, () => start);
    this.#confirmable = start;
  }

  /** The LSN that may be confirmed to Postgres: an end LSN. It never goes back. */
  get confirmable(): Lsn {
    return this.#confirmable;
  }

  /** Notes that the log has acknowledged a record of `partition` whose interval ends at `to`. */
  acknowledge(partition: number, to: Lsn): void {
    const before = this.#acknowledged[partition];
    if (before === undefined) throw new RangeError(`The log has no partition ${partition}.`);
    this.#acknowledged[partition] = lsnMax(before, to);
    this.#advance();
  }

  settle(settled: Lsn): void {
    this.#settled = lsnMax(this.#settled, settled);
    this.#advance();
  }

  #advance(): void {
    const everywhere = this.#acknowledged.reduce(lsnMin);
    this.#confirmable = lsnMax(this.#confirmable, lsnMin(everywhere, this.#settled));
  }
}
