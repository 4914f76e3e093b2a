import { judgeHit } from '../protocol/hit.ts';
import type { StoredValue } from '../protocol/value-slot.ts';
import type { Clock } from '../runtime/clock.ts';
import type { CacheStore, Entry, ReadReply } from './cache-store.ts';
import type { LeaseEnds } from './lease-ends.ts';

export interface LeaseWaitParts {
  readonly store: Pick<CacheStore, 'read'>;
  readonly leaseEnds: LeaseEnds;
  readonly clock: Clock;
  readonly random: () => number;
}

export type LeaseEnd =
  | { readonly kind: 'value'; readonly value: StoredValue }
  /** Voided, given up, or past its time; or another holds one now. */
  | { readonly kind: 'ended' };

export interface WaitFor {
  /** The lease's. */
  readonly token: string;
  readonly staleMs: number;
  readonly version: number;
  readonly limitMs: number;
  /** Whether a value that was read will do. */
  readonly accepts: (reply: ReadReply) => boolean;
  /** Told before each look, and after one that brought no value: what a look brings may be older than whoever comes during it. */
  readonly looking: (isLooking: boolean) => void;
  readonly signal: AbortSignal;
}

/** A lease that is voided by an invalidation ends without a notice: so a waiter looks by himself, first soon, then less often. */
const FIRST_LOOK_MS = 15;
const LAST_LOOK_MS = 250;
const SLOWER = 1.6;

/** Waits for the end of one lease. It is made before the lease is asked for, or the notice might be missed. */
export class LeaseWait {
  readonly #parts: LeaseWaitParts;
  readonly #unwatch: () => void;
  #isNoticed = false;
  #wake: AbortController | undefined;

  constructor(parts: LeaseWaitParts, key: string) {
    this.#parts = parts;
    this.#unwatch = parts.leaseEnds.watch(key, () => {
      this.#isNoticed = true;
      this.#wake?.abort();
    });
  }

  /** Throws as `read` does, and the signal's reason at abort. */
  async until(entry: Entry, wait: WaitFor): Promise<LeaseEnd> {
    const { store, clock } = this.#parts;
    const untilMs = clock.monotonicMs() + wait.limitMs;
    for (let lookMs = FIRST_LOOK_MS; clock.monotonicMs() < untilMs; lookMs = Math.min(LAST_LOOK_MS, lookMs * SLOWER)) {
      await this.#sleep(lookMs, wait.signal);
      wait.signal.throwIfAborted();
      this.#isNoticed = false;
      wait.looking(true);
      const reply = await store.read(entry, { ttl: wait.staleMs > 0, watermark: true });
      const verdict = judgeHit(reply, wait.staleMs, wait.version);
      if (verdict.kind === 'hit' && wait.accepts(reply)) return { kind: 'value', value: verdict.value };
      wait.looking(false);
      if (verdict.kind !== 'held' || verdict.token !== wait.token) return { kind: 'ended' };
    }
    return { kind: 'ended' };
  }

  close(): void {
    this.#unwatch();
  }

  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    if (this.#isNoticed) return;
    this.#wake = new AbortController();
    await this.#parts.clock.sleep(ms * (0.75 + this.#parts.random() / 2), AbortSignal.any([this.#wake.signal, signal]));
    this.#wake = undefined;
  }
}
