import { type BackoffLimits, backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Cell } from './cell.ts';
import type { OwedRefresh, RegionStore } from './region-store.ts';

/** Loads keys anew. The agent evicts whether or not there is one. */
export interface Refresher {
  /** Whether this process has the family's loader. */
  loads(family: string): boolean;
  /**
   * Loads a key under a lease and stores it, or finds it stored. False where what was loaded may not be stored yet: the change is not visible, or the
   * region is away. Rejects with the loader's error.
   */
  refresh(family: string, key: string): Promise<boolean>;
}

export interface RefreshObserver {
  refreshed(family: string): void;
  /** Given up: the next reader loads. */
  refreshFailed(family: string, error: unknown): void;
}

export interface RefreshParts {
  readonly store: Pick<RegionStore, 'owedRefreshes' | 'clearRefresh'>;
  readonly refresher: Refresher;
  readonly clock: Clock;
  readonly random: () => number;
  readonly observer: RefreshObserver;
}

/** Loads at one time: what a burst of changes may ask of the database beside the readers. */
const LOADS_AT_ONCE = 4;
const ATTEMPTS_MAX = 10;
const AGAIN: BackoffLimits = { firstMs: 50, maxMs: 5000 };
const LOOK_EVERY_MS = 50;

interface Tried {
  readonly change: string;
  readonly failures: number;
  readonly notBeforeMs: number;
}

/** What is owed to one cell, done page by page. A refresh stays owed until it is stored, given up, or raised again. */
export class CellRefreshes {
  readonly #parts: RefreshParts;
  readonly #cell: number;
  readonly #tried = new Map<string, Tried>();

  constructor(parts: RefreshParts, cell: number) {
    this.#parts = parts;
    this.#cell = cell;
  }

  /** One round over all that is owed. Returns whether something is left for this process. */
  async round(signal: AbortSignal): Promise<boolean> {
    const { store, refresher } = this.#parts;
    const seen = new Set<string>();
    for (let cursor: string | null = '0'; cursor !== null && !signal.aborted;) {
      const page: Awaited<ReturnType<RegionStore['owedRefreshes']>> = await store.owedRefreshes(this.#cell, cursor);
      const ours = page.owed.filter(({ family }) => refresher.loads(family));
      for (const { key } of ours) seen.add(key);
      await this.#all(ours, signal);
      cursor = page.next;
    }
    for (const key of this.#tried.keys()) if (!seen.has(key)) this.#tried.delete(key);
    return seen.size > 0;
  }

  async #all(owed: readonly OwedRefresh[], signal: AbortSignal): Promise<void> {
    const waiting = [...owed];
    const next = async (): Promise<void> => {
      for (let one = waiting.shift(); one !== undefined && !signal.aborted; one = waiting.shift()) await this.#one(one);
    };
    await Promise.all(Array.from({ length: LOADS_AT_ONCE }, next));
  }

  async #one(owed: OwedRefresh): Promise<void> {
    const { store, refresher, observer, clock, random } = this.#parts;
    const { key, family, change } = owed;
    const tried = this.#tried.get(key);
    const failures = tried?.change === change ? tried.failures : 0;
    if (tried?.change === change && clock.monotonicMs() < tried.notBeforeMs) return;
    let failure: unknown;
    try {
      if (await refresher.refresh(family, key)) {
        observer.refreshed(family);
        return await store.clearRefresh(this.#cell, owed);
      }
    } catch (error) {
      failure = error;
    }
    if (failures + 1 < ATTEMPTS_MAX) {
      const notBeforeMs = clock.monotonicMs() + backoffMs(failures + 1, AGAIN, random);
      this.#tried.set(key, { change, failures: failures + 1, notBeforeMs });
      return;
    }
    observer.refreshFailed(family, failure);
    await store.clearRefresh(this.#cell, owed);
  }
}

/** Refreshes what the held cells owe. Redis is asked only after something may have been raised. */
export async function refreshLoop(
  parts: RefreshParts & { readonly holdings: { readonly cells: readonly Cell[] } },
  signal: AbortSignal,
): Promise<void> {
  const refreshes = new Map<Cell, CellRefreshes>();
  while (!signal.aborted) {
    const held = parts.holdings.cells;
    for (const cell of refreshes.keys()) if (!held.includes(cell)) refreshes.delete(cell);
    for (const cell of held.filter((one) => one.refreshesMayBeOwed)) {
      const known = refreshes.get(cell) ?? new CellRefreshes(parts, cell.cell);
      refreshes.set(cell, known);
      cell.refreshesMayBeOwed = false;
      if (await known.round(signal)) cell.refreshesMayBeOwed = true;
    }
    await parts.clock.sleep(LOOK_EVERY_MS, signal);
  }
}

/** Refreshes what any cell owes, whoever holds it: for a process that has loaders and no cells. */
export async function refreshEverywhere(parts: RefreshParts, cells: number, signal: AbortSignal): Promise<void> {
  const refreshes = Array.from({ length: cells }, (_, cell) => new CellRefreshes(parts, cell));
  while (!signal.aborted) {
    for (const one of refreshes) await one.round(signal);
    await parts.clock.sleep(LOOK_EVERY_MS, signal);
  }
}
