import type { Lsn } from '../protocol/lsn.ts';
import type { SourceLook } from './from-postgres.ts';

/** Looks that are kept, at most: a backlog of 17 minutes, at four a second. In a longer one staleness is taken for up to twice what it is. */
export const LOOKS_KEPT_MAX = 4096;

/**
 * Tells of an LSN up to which everything is decoded as of when that is so: a time of Postgres such that whatever was committed before it is below.
 *
 * The stream does not say. Its keepalives bear the clock of now and the place up to which was sent, however far behind that is
 * (WalSndKeepalive in Postgres's walsender.c), and commit times are not in the log's order. But what was committed before a look was asked for lies
 * before the end of the log that the look has found:
 *
 *     looks       09:00, the log ends at 70        09:01, it ends at 90
 *     decoded     ──────────▶ 50     ──────────▶ 75
 *     as of       before 09:00       09:00
 */
export class AsOfTracker {
  /** In the order of both time and place. */
  #looks: { readonly askedAtMs: number; readonly flushedLsn: Lsn }[] = [];

  /** Takes a look. One that is older than the last, or saw the log end lower, is of another clock or server. */
  looked({ askedAtMs, flushedLsn }: SourceLook): void {
    const last = this.#looks.at(-1);
    if (last !== undefined) {
      if (askedAtMs <= last.askedAtMs || flushedLsn < last.flushedLsn) return;
      if (last.flushedLsn === flushedLsn) this.#looks.pop();
    }
    if (this.#looks.length < LOOKS_KEPT_MAX) this.#looks.push({ askedAtMs, flushedLsn });
  }

  /** Unix time in milliseconds by the clock of Postgres; 0 where nothing is known. */
  at(complete: Lsn): number {
    let asOfMs = 0;
    for (const look of this.#looks) {
      if (look.flushedLsn > complete) break;
      asOfMs = look.askedAtMs;
    }
    return asOfMs;
  }

  /** Nothing below `complete` will be asked for any more. */
  forgetBelow(complete: Lsn): void {
    const first = this.#looks.findIndex(({ flushedLsn }) => flushedLsn > complete);
    const reached = first < 0 ? this.#looks.length : first;
    if (reached > 1) this.#looks.splice(0, reached - 1);
  }
}
