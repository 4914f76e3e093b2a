import { regionStoreOf } from '../../src/testing/memory-stores.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { tagMarkOf } from '../../src/protocol/mark.ts';
import type { ApplyBatch } from '../../src/agent/region-store.ts';
import { batchOf, epochOf, rulesOf, TOKEN } from '../../test/contract/region-under-test.ts';

export const CELLS = 2;

/** The region's Redis in memory, with an agent's hand on it: everything is settled as it is applied. */
export class BenchRegion {
  readonly redis: MemoryRegion;
  readonly #agent: ReturnType<typeof regionStoreOf>;
  readonly #nowMs: () => number;
  #offset = 1;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.redis = new MemoryRegion({ cells: CELLS, nowMs });
    this.#agent = regionStoreOf(this.redis);
  }

  async begin(rules: Readonly<Record<string, string>>): Promise<void> {
    for (let cell = 0; cell < CELLS; cell++) {
      await this.#agent.take(cell, '', TOKEN);
      await this.#agent.beginEpoch(cell, TOKEN, { ...epochOf('e1', null, this.#offset), floor: lsn(1) });
    }
    await this.#apply({ rules: [rulesOf(rules, this.#offset + 1, 2)] });
  }

  /** One invalidation, which makes all entries with the tag old. */
  async invalidateTag(tag: string): Promise<void> {
    await this.#apply({
      marks: [{ field: `t:${tagMarkOf(tag)}`, offset: this.#offset + 1, lsn: lsn(this.#offset * 10) }],
    });
  }

  async #apply(more: Partial<ApplyBatch>): Promise<void> {
    const at = lsn((this.#offset + 1) * 10);
    const batch = batchOf(this.#offset, {
      watermark: at,
      asOfMs: this.#nowMs(),
      settledPrimary: { timeline: 1, lsn: at },
      ...more,
    });
    this.#offset = batch.offset;
    for (let cell = 0; cell < CELLS; cell++) await this.#agent.apply(cell, TOKEN, batch);
  }
}
