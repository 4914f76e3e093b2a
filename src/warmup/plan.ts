import type { Family } from '../config/bus-config.ts';
import { hashKey } from '../protocol/key-hash.ts';
import { matcherOf } from '../protocol/key-template.ts';
import type { HotFamily, Shard } from './hot-keys.ts';

/** A million keys a family at most are published; of so many more nothing is read. */
const KEYS_MAX = 4_000_000;

/** Whether a process can load the family: by the file's `source`, or by the application's loader that it has. */
export type CanLoad = (family: Family) => boolean;

export interface PlanFamily {
  readonly family: string;
  readonly keys: number;
  readonly readsPerSecond: number;
  /** Of values whose size is known. */
  readonly bytes: number;
}

/** What a warm-up would do. */
export interface PlanSummary {
  readonly families: readonly PlanFamily[];
  /** Families whose hot keys this process cannot load. */
  readonly leftOut: readonly PlanFamily[];
  /** Keys that are none of their family as the file has it: they were published under a former template, and nobody asks for them any more. */
  readonly formerKeys: readonly PlanFamily[];
  readonly keys: number;
  readonly readsPerSecond: number;
  /** Of the keys, hottest first, so many make the target's share of the reads. */
  readonly keysToTarget: number;
  /** Milliseconds of those loads, one after the other, as far as they are known. */
  readonly loadMs: number;
}

export interface Batch {
  readonly family: string;
  readonly keys: readonly string[];
  /** Of each key, its reads a second. */
  readonly reads: readonly number[];
}

/** What one shard of a warm-up has to load, hottest first. A million keys stand in it, so it is columns, not objects. */
export class WarmupPlan {
  readonly #families: readonly string[];
  readonly #isKey: readonly ((key: string) => boolean)[];
  readonly #familyOf: number[] = [];
  readonly #keys: string[] = [];
  readonly #reads: number[] = [];
  readonly #loadMs: number[] = [];
  readonly #totals = new Map<string, Total>();
  readonly #leftOut = new Map<string, Total>();
  readonly #formerKeys = new Map<string, Total>();
  readonly #shard: Shard;
  #order = new Uint32Array();
  #at = 0;
  readonly #pending = new Map<number, number[]>();

  constructor(families: Iterable<Family>, canLoad: CanLoad, shard: Shard) {
    const loaded = [...families].filter(canLoad);
    this.#families = loaded.map(({ name }) => name);
    this.#isKey = loaded.map(({ key }) => matcherOf(key));
    this.#shard = shard;
  }

  /** The reads a second of all that is in the plan. */
  readsPerSecond = 0;

  /** Keys that are read and can be loaded, those of other shards too. With none nothing is known; a shard that has none of them has its share of the work done. */
  published = 0;

  get keys(): number {
    return this.#keys.length;
  }

  add({ family, keys }: HotFamily): void {
    const number = this.#families.indexOf(family);
    const { shard, of } = this.#shard;
    for (const { key, readsPerSecond, loadMs, bytes } of keys) {
      const isFormer = this.#isKey[number]?.(key) === false;
      if (number >= 0 && !isFormer && readsPerSecond > 0) this.published += 1;
      if (of > 1 && hashKey(key) % of !== shard) continue;
      const wanted = isFormer ? this.#formerKeys : this.#totals;
      const totals = number < 0 ? this.#leftOut : wanted;
      const total = totals.get(family) ?? { keys: 0, readsPerSecond: 0, bytes: 0 };
      totals.set(family, total);
      total.keys += 1;
      total.readsPerSecond += readsPerSecond;
      total.bytes += bytes;
      if (totals !== this.#totals || this.#keys.length >= KEYS_MAX) continue;
      this.#familyOf.push(number);
      this.#keys.push(key);
      this.#reads.push(readsPerSecond);
      this.#loadMs.push(loadMs);
      this.readsPerSecond += readsPerSecond;
    }
  }

  /** Puts what was added in order. */
  sort(): void {
    this.#order = Uint32Array.from(this.#keys, (_, i) => i);
    this.#order.sort((a, b) => (this.#reads[b] ?? 0) - (this.#reads[a] ?? 0));
    this.#at = 0;
    this.#pending.clear();
  }

  /**
   * So many keys of one family, or fewer where no more of it are left. Undefined at the end. The hottest come first, each family's in its order.
   * Those of a family that is held back stay for later.
   */
  next(size: number, isHeld: (family: string) => boolean = () => false): Batch | undefined {
    // More of it than a batch: it was held back until now.
    for (const [family, pending] of this.#pending)
      if (pending.length >= size && !isHeld(this.#nameOf(family))) return this.#take(family, size);
    while (this.#at < this.#order.length) {
      const index = this.#order[this.#at] ?? 0;
      this.#at += 1;
      const family = this.#familyOf[index] ?? 0;
      const pending = this.#pending.get(family) ?? [];
      this.#pending.set(family, pending);
      pending.push(index);
      if (pending.length >= size && !isHeld(this.#nameOf(family))) return this.#take(family, size);
    }
    for (const family of this.#pending.keys()) if (!isHeld(this.#nameOf(family))) return this.#take(family, size);
    return undefined;
  }

  #nameOf(family: number): string {
    return this.#families[family] ?? '';
  }

  summary(target: number): PlanSummary {
    let [reads, keysToTarget, loadMs] = [0, 0, 0];
    for (const index of this.#order) {
      if (reads >= target * this.readsPerSecond) break;
      reads += this.#reads[index] ?? 0;
      loadMs += this.#loadMs[index] ?? 0;
      keysToTarget += 1;
    }
    return {
      families: listed(this.#totals),
      leftOut: listed(this.#leftOut),
      formerKeys: listed(this.#formerKeys),
      keys: this.keys,
      readsPerSecond: this.readsPerSecond,
      keysToTarget,
      loadMs,
    };
  }

  #take(family: number, size: number): Batch {
    const pending = this.#pending.get(family) ?? [];
    const some = pending.splice(0, size);
    if (pending.length === 0) this.#pending.delete(family);
    return {
      family: this.#nameOf(family),
      keys: some.map((index) => this.#keys[index] ?? ''),
      reads: some.map((index) => this.#reads[index] ?? 0),
    };
  }
}

interface Total {
  keys: number;
  readsPerSecond: number;
  bytes: number;
}

function listed(totals: ReadonlyMap<string, Total>): PlanFamily[] {
  return [...totals]
    .map(([family, total]) => ({ family, ...total }))
    .toSorted((a, b) => b.readsPerSecond - a.readsPerSecond);
}
