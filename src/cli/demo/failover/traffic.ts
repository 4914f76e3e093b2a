import { setTimeout as sleep } from 'node:timers/promises';
import type { Cache } from '../../../client/cache.ts';
import type { CacheFamily } from '../../../client/cache-family.ts';
import { CUSTOMERS, type Customer, zipfDraw } from './customers.ts';

const TICK_MS = 20;
const WINDOW_MS = 250;
/** Reads of one region that may be under way: a user who sees nothing loads no page a hundred times. */
const UNDER_WAY_MAX = 500;

interface Window {
  readonly endMs: number;
  readonly ms: number;
  readonly reads: number;
  readonly hits: number;
}

/** Users of one region, who ask its application for pages at a steady rate. */
export class Users {
  /** Which share of them come to this region; the others go elsewhere. */
  admit = 1;
  /** Page views that they ask for. */
  perSecond: number;
  /** Reads that ended in an error, or found too many before them. */
  failed = 0;
  readonly #caches: readonly Cache[];
  readonly #families: readonly CacheFamily<Customer, { id: number }>[];
  readonly #elsewhere: Users | undefined;
  readonly #draw: () => number;
  readonly #random: () => number;
  readonly #windows: Window[] = [];
  #underWay = 0;
  #turn = 0;

  constructor(caches: readonly Cache[], perSecond: number, elsewhere?: Users, random: () => number = Math.random) {
    this.#caches = caches;
    this.#families = caches.map((cache) => cache.family<Customer, { id: number }>('customer'));
    this.perSecond = perSecond;
    this.#elsewhere = elsewhere;
    this.#random = random;
    this.#draw = zipfDraw(CUSTOMERS, random);
  }

  async run(signal: AbortSignal): Promise<void> {
    await Promise.all([this.#come(signal), this.#count(signal)]);
  }

  /** Of the reads that came in between, the share that the cache has answered; null where none came. Times are of `performance.now()`. */
  hitRate(fromMs: number, toMs: number): number | null {
    const { reads, hits } = this.#between(fromMs, toMs);
    // A read is counted when it comes, and a hit when it is answered: at the edge one more may be than came.
    return reads === 0 ? null : Math.min(1, hits / reads);
  }

  /** Of the users that there are, those that came, from 0 to 1. */
  share(fromMs: number, toMs: number): number {
    const { reads, ms } = this.#between(fromMs, toMs);
    return ms === 0 ? 0 : Math.min(1, (reads * 1000) / (ms * this.perSecond));
  }

  read(id: number): void {
    if (this.#underWay >= UNDER_WAY_MAX) {
      this.failed += 1;
      return;
    }
    this.#underWay += 1;
    this.#turn = (this.#turn + 1) % this.#families.length;
    const reading = this.#families[this.#turn]?.get({ id }) ?? Promise.resolve();
    reading.catch(() => (this.failed += 1)).finally(() => (this.#underWay -= 1));
  }

  async #come(signal: AbortSignal): Promise<void> {
    let [due, lastMs] = [0, performance.now()];
    while (!signal.aborted) {
      const nowMs = performance.now();
      due += ((nowMs - lastMs) * this.perSecond) / 1000;
      lastMs = nowMs;
      for (; due >= 1; due -= 1) {
        const isHere = this.#elsewhere === undefined || this.#random() < this.admit;
        (isHere ? this : this.#elsewhere)?.read(this.#draw());
      }
      await sleep(TICK_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  async #count(signal: AbortSignal): Promise<void> {
    let before = { ...this.#sums(), endMs: performance.now() };
    while (!signal.aborted) {
      await sleep(WINDOW_MS, undefined, { signal }).catch(() => undefined);
      const now = { ...this.#sums(), endMs: performance.now() };
      this.#windows.push({
        endMs: now.endMs,
        ms: now.endMs - before.endMs,
        reads: now.reads - before.reads,
        hits: now.hits - before.hits,
      });
      before = now;
    }
  }

  #sums(): { readonly reads: number; readonly hits: number } {
    let [reads, hits] = [0, 0];
    for (const cache of this.#caches) {
      const stats = cache.stats();
      reads += stats.reads;
      hits += stats.hits + stats.localHits;
    }
    return { reads, hits };
  }

  #between(fromMs: number, toMs: number): Omit<Window, 'endMs'> {
    let [ms, reads, hits] = [0, 0, 0];
    for (const window of this.#windows) {
      if (window.endMs <= fromMs || window.endMs > toMs) continue;
      ms += window.ms;
      reads += window.reads;
      hits += window.hits;
    }
    return { ms, reads, hits };
  }
}
