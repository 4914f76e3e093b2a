import type { ApplyBatch } from '../../src/agent/region-store.ts';
import type { Entry } from '../../src/client/cache-store.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import type { MemoryRegion } from '../../src/testing/memory-region.ts';
import { batchOf, epochOf, rulesOf, evictionOf, TOKEN } from '../contract/region-under-test.ts';
import { ownRules } from './cache-region.ts';
import type { SimCommit } from './sim-row.ts';

/** The bus behind one row: applies its commits in their order, as late as its caller likes. */
export class LabBus {
  /** The highest version that the bus has evicted for: nothing below may be served. */
  appliedVersion = 0;
  readonly #region: MemoryRegion;
  #wal: readonly SimCommit[] = [];
  #entry: Entry | undefined;
  #applied = 0;
  #lsn = 100;
  #settledTo = 0;
  #epochs = 0;

  constructor(region: MemoryRegion) {
    this.#region = region;
    const rules = [rulesOf(ownRules(), 1, 1)];
    for (let cell = 0; cell < region.cells; cell++) {
      region.cell(cell).take('', TOKEN);
      region.beginEpoch(cell, TOKEN, epochOf('e0', null, 0));
      region.apply(cell, TOKEN, batchOf(0, { rules }));
    }
  }

  follow(entry: Entry, wal: readonly SimCommit[]): void {
    this.#entry = entry;
    this.#wal = wal;
    this.#applied = 0;
    this.appliedVersion = 0;
  }

  nextLsn(): number {
    this.#lsn += 1;
    return this.#lsn;
  }

  /** What it could do next: evict for a commit, or tell that all is settled. */
  get next(): 'evict' | 'settle' | undefined {
    if (this.#applied < this.#wal.length) return 'evict';
    return this.#settledTo <= this.#lsn && this.#wal.every(({ isVisible }) => isVisible) ? 'settle' : undefined;
  }

  evict(): void {
    const next = this.#wal[this.#applied];
    if (next === undefined || this.#entry === undefined) return;
    this.#applied += 1;
    this.apply(evictionOf([this.#entry], next.lsn));
    this.appliedVersion = Math.max(this.appliedVersion, next.version);
  }

  apply(more: Partial<ApplyBatch> = {}): void {
    this.#settledTo = this.#wal.find(({ isVisible }) => !isVisible)?.lsn ?? this.#lsn + 1;
    const settledPrimary = { timeline: 1, lsn: lsn(this.#settledTo) };
    const batch = batchOf(this.#offset, { watermark: lsn(this.#lsn), settledPrimary, ...more });
    this.#region.apply(this.#cell, TOKEN, batch);
  }

  markFamily(): void {
    const field = `f:${this.#entry?.family}`;
    this.apply({ marks: [{ field, offset: this.#offset + 1, lsn: lsn(this.nextLsn()) }] });
  }

  /** A gap: what was not applied is lost, below a floor. */
  beginEpoch(): void {
    const floor = lsn(this.#lsn);
    const name = `e${(this.#epochs += 1)}`;
    const epoch = { ...epochOf(name, this.#offset, this.#offset + 1), floor, watermark: floor };
    this.#region.beginEpoch(this.#cell, TOKEN, epoch);
    this.appliedVersion = Math.max(this.appliedVersion, ...this.#wal.map(({ version }) => version));
    this.#applied = this.#wal.length;
  }

  get #cell(): number {
    return this.#entry?.cell ?? 0;
  }

  get #offset(): number {
    return this.#region.cell(this.#cell).position?.offset ?? 0;
  }
}
