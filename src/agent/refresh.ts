import { type BackoffLimits, backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Cell } from './cell.ts';
import { LeftRefreshes } from './left-refreshes.ts';
import { RefreshQueue } from './refresh-queue.ts';
import type { OwedRefresh, RegionStore } from './region-store.ts';

/**
 *   stored        it stands in the region
 *   nothing       there is nothing to store: what is not there, and is not kept as such
 *   not yet       what was loaded may not be stored: the change is not visible, or the region is away
 *   another file  the region works by other rules for the family than this process's file has
 */
export type RefreshAnswer = 'stored' | 'nothing' | 'not yet' | 'another file';

/** Loads keys anew. The agent evicts whether or not there is one. */
export interface Refresher {
  /** Whether this process has the family's loader. */
  loads(family: string): boolean;
  /** Loads a key under a lease and stores it, or finds it stored. Rejects with the loader's error. */
  refresh(family: string, key: string): Promise<RefreshAnswer>;
}

export const LOADS_NOTHING: Refresher = { loads: () => false, refresh: async () => 'another file' };

export interface RefreshObserver {
  refreshed(family: string): void;
  /** Given up: the next reader loads. `error` is undefined where what was loaded could not be stored. */
  refreshFailed(family: string, error: unknown): void;
  /** Given up, since no process has loaded them. */
  refreshesLeft(family: string, keys: number): void;
}

export interface RefreshParts {
  readonly store: Pick<RegionStore, 'owedRefreshes' | 'clearRefresh'>;
  readonly refresher: Refresher;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: RefreshObserver;
}

const ATTEMPTS_MAX = 10;
const AGAIN: BackoffLimits = { firstMs: 50, maxMs: 5000 };
const LOOK_EVERY_MS = 50;
const LOOK_AT_LEFT_MS = 5000;
/** Between two looks at the cells, so many times what a look took: where much is owed and loads are slow, Redis has better to do than to say it again. */
const REST = 4;

interface Tried {
  readonly change: string;
  readonly failures: number;
  readonly notBeforeMs: number;
  /** It is another process's, by its file. */
  readonly isAnothers: boolean;
}

/** What is owed to one cell, looked at page by page. A refresh stays owed until it is stored, given up, or raised again. */
export class CellRefreshes {
  readonly #parts: RefreshParts;
  readonly #cell: number;
  readonly #queue: RefreshQueue;
  readonly #tried = new Map<string, Tried>();
  readonly #queued = new Set<string>();
  readonly #left: LeftRefreshes | undefined;
  /** When its owner looks again at what waits for others, by the monotonic clock. */
  lookAgainMs = Number.POSITIVE_INFINITY;
  #failure: { readonly error: unknown } | undefined;
  #isOver = false;

  /** `left` is what the cell's owner does about what nobody loads. */
  constructor(parts: RefreshParts, cell: number, queue: RefreshQueue, left?: LeftRefreshes) {
    this.#parts = parts;
    this.#cell = cell;
    this.#queue = queue;
    this.#left = left;
  }

  /** One look at all that is owed; what is due is queued. Returns whether something is left for this process to do. Rejects with what Redis said. */
  async round(signal: AbortSignal): Promise<boolean> {
    const { store, refresher, clock } = this.#parts;
    const ours = new Set<string>();
    let isOwed = false;
    for (let cursor: string | null = '0'; cursor !== null && !signal.aborted;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const page: Awaited<ReturnType<RegionStore['owedRefreshes']>> = await store.owedRefreshes(this.#cell, cursor);
      for (const owed of page.owed)
        if (refresher.loads(owed.family)) {
          ours.add(owed.key);
          const tried = this.#triedFor(owed);
          if (tried?.isAnothers === true) this.#left?.see(owed);
          else isOwed = true;
          if (tried === undefined || clock.monotonicMs() >= tried.notBeforeMs) this.#offer(owed);
        } else this.#left?.see(owed);
      cursor = page.next;
    }
    if (signal.aborted) return true;
    for (const key of this.#tried.keys()) if (!ours.has(key)) this.#tried.delete(key);
    await this.#left?.giveUp((owed) => store.clearRefresh(this.#cell, owed));
    this.lookAgainMs =
      this.#left === undefined || this.#left.size === 0
        ? Number.POSITIVE_INFINITY
        : clock.monotonicMs() + LOOK_AT_LEFT_MS;
    return isOwed;
  }

  /** Nothing more is done for the cell. */
  close(): void {
    this.#isOver = true;
  }

  #offer(owed: OwedRefresh): void {
    const { key, family } = owed;
    if (this.#queued.has(key)) return;
    this.#queued.add(key);
    const isQueued = this.#queue.offer(family, async () => {
      const isWell = this.#isOver ? undefined : await this.#one(owed);
      this.#queued.delete(key);
      return isWell;
    });
    if (!isQueued) this.#queued.delete(key);
  }

  /** Whether the loader did its work. */
  async #one(owed: OwedRefresh): Promise<boolean | undefined> {
    const { refresher, observer, random } = this.#parts;
    const { key, family } = owed;
    let answer: RefreshAnswer | 'failed';
    let failure: unknown;
    try {
      answer = await refresher.refresh(family, key);
    } catch (error) {
      answer = 'failed';
      failure = error;
    }
    // Whoever ended this has ended the load too, which says nothing of the key.
    if (this.#isOver) return undefined;
    if (answer === 'stored' || answer === 'nothing') {
      if (answer === 'stored') observer.refreshed(family);
      await this.#clear(owed);
      return true;
    }
    if (answer === 'another file') {
      this.#later(owed, 0, AGAIN.maxMs, true);
      return undefined;
    }
    const failures = (this.#triedFor(owed)?.failures ?? 0) + 1;
    if (failures < ATTEMPTS_MAX) this.#later(owed, failures, backoffMs(failures, AGAIN, random), false);
    else {
      observer.refreshFailed(family, failure);
      await this.#clear(owed);
    }
    return answer !== 'failed';
  }

  #triedFor({ key, change }: OwedRefresh): Tried | undefined {
    const tried = this.#tried.get(key);
    return tried?.change === change ? tried : undefined;
  }

  #later({ key, change }: OwedRefresh, failures: number, inMs: number, isAnothers: boolean): void {
    this.#tried.set(key, { change, failures, notBeforeMs: this.#parts.clock.monotonicMs() + inMs, isAnothers });
  }

  async #clear(owed: OwedRefresh): Promise<void> {
    try {
      await this.#parts.store.clearRefresh(this.#cell, owed);
    } catch (error) {
      this.#failure ??= { error };
    }
  }
}

/** Refreshes what the held cells owe, and gives up what nobody does. Redis is asked only after something may have been raised. */
export async function refreshLoop(
  parts: RefreshParts & { readonly holdings: { readonly cells: readonly Cell[] } },
  signal: AbortSignal,
): Promise<void> {
  const { clock, observer, holdings } = parts;
  const queue = new RefreshQueue();
  const refreshes = new Map<Cell, CellRefreshes>();
  const begin = (cell: Cell): CellRefreshes => {
    const left = new LeftRefreshes(clock, (family, keys) => observer.refreshesLeft(family, keys));
    const begun = new CellRefreshes(parts, cell.cell, queue, left);
    refreshes.set(cell, begun);
    return begun;
  };
  try {
    while (!signal.aborted) {
      const beganMs = clock.monotonicMs();
      const held = holdings.cells;
      for (const [cell, known] of refreshes)
        if (!held.includes(cell)) {
          known.close();
          refreshes.delete(cell);
        }
      for (const cell of held) {
        const known = refreshes.get(cell);
        if (!cell.refreshesMayBeOwed && beganMs < (known?.lookAgainMs ?? Number.POSITIVE_INFINITY)) continue;
        cell.refreshesMayBeOwed = false;
        if (await (known ?? begin(cell)).round(signal)) cell.refreshesMayBeOwed = true;
      }
      await clock.sleep(restMs(clock, beganMs), signal);
    }
  } finally {
    queue.close();
    for (const one of refreshes.values()) one.close();
  }
}

/** Refreshes what any cell owes, whoever holds it: for a process that has loaders and no cells. */
export async function refreshEverywhere(parts: RefreshParts, cells: number, signal: AbortSignal): Promise<void> {
  const { clock } = parts;
  const queue = new RefreshQueue();
  const refreshes = Array.from({ length: cells }, (_, cell) => new CellRefreshes(parts, cell, queue));
  try {
    while (!signal.aborted) {
      const beganMs = clock.monotonicMs();
      for (const one of refreshes) await one.round(signal);
      await clock.sleep(restMs(clock, beganMs), signal);
    }
  } finally {
    queue.close();
    for (const one of refreshes) one.close();
  }
}

function restMs(clock: Clock, beganMs: number): number {
  return Math.max(LOOK_EVERY_MS, REST * (clock.monotonicMs() - beganMs));
}
