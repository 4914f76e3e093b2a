import { regionStoreOf } from '../../src/testing/memory-stores.ts';
import { MemoryRegion } from '../../src/testing/memory-region.ts';
import { lsn } from '../../src/protocol/lsn.ts';
import { tagMarkOf } from '../../src/protocol/mark.ts';
import type { ApplyBatch } from '../../src/agent/region-store.ts';

export const CELLS = 2;
const OWNER = 'a'.repeat(16);
const SOURCE = { number: 1, systemId: '7', timeline: 1, slotIdentity: 'x', postmasterStartedAtMs: 0 };

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
    const lsns = { watermark: lsn(1), floor: lsn(1) };
    for (let cell = 0; cell < CELLS; cell++) {
      await this.#agent.take(cell, '', OWNER);
      const epoch = {
        name: 'e1',
        after: null,
        offset: this.#offset,
        sourceEpoch: SOURCE,
        asOfMs: this.#nowMs(),
        ...lsns,
      };
      await this.#agent.beginEpoch(cell, OWNER, epoch);
    }
    const texts = Object.entries(rules);
    await this.#apply({
      rules: texts.map(([family, hash]) => ({ family, hash, offset: this.#offset + 1, lsn: lsn(2) })),
    });
  }

  /** One invalidation, which makes all entries with the tag old. */
  async invalidateTag(tag: string): Promise<void> {
    await this.#apply({
      marks: [{ field: `t:${tagMarkOf(tag)}`, offset: this.#offset + 1, lsn: lsn(this.#offset * 10) }],
    });
  }

  async #apply(more: Partial<ApplyBatch>): Promise<void> {
    const after = this.#offset;
    this.#offset += 1;
    const at = lsn(this.#offset * 10);
    for (let cell = 0; cell < CELLS; cell++)
      await this.#agent.apply(cell, OWNER, {
        after,
        offset: this.#offset,
        sourceEpoch: SOURCE,
        watermark: at,
        asOfMs: this.#nowMs(),
        settledPrimary: { timeline: 1, lsn: at },
        keys: [],
        plainKeys: [],
        expires: [],
        refreshes: [],
        fences: new Map(),
        marks: [],
        sweeps: new Map(),
        rules: [],
        hasReplicas: false,
        ...more,
      });
  }
}
