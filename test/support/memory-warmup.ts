import type { HotKey } from '../../src/protocol/hot-key.ts';
import type { GateState } from '../../src/protocol/region-gate.ts';
import type { HotFamily, HotKeys, Shard, WarmGate } from '../../src/warmup/hot-keys.ts';

/** What is published, in memory. */
export class MemoryHotKeys implements HotKeys {
  readonly #regions = new Map<string, HotFamily[]>();

  publish(region: string, ...families: readonly HotFamily[]): void {
    this.#regions.set(region, [...families]);
  }

  async *of(region: string): AsyncIterable<HotFamily> {
    yield* this.#regions.get(region) ?? [];
  }
}

export interface ToldGate {
  readonly what: 'report' | 'warm';
  readonly share: number;
  readonly shard: number;
}

/** A gate in memory. */
export class MemoryWarmGate implements WarmGate {
  readonly told: ToldGate[] = [];
  state: GateState = 'COLD';
  readonly #atTarget = new Set<number>();
  #epoch: string;

  constructor(epoch = 'e1') {
    this.#epoch = epoch;
  }

  /** The region begins anew. */
  move(epoch: string): void {
    this.#epoch = epoch;
    this.state = 'COLD';
    this.#atTarget.clear();
  }

  async read(): Promise<{ readonly epoch: string; readonly state: GateState }> {
    return { epoch: this.#epoch, state: this.state };
  }

  async report(epoch: string, share: number, { shard }: Shard): Promise<'ok' | 'moved'> {
    if (epoch !== this.#epoch) return 'moved';
    this.told.push({ what: 'report', share, shard });
    if (this.state === 'COLD') this.state = 'WARMING';
    return 'ok';
  }

  async warm(epoch: string, { shard, of }: Shard): Promise<'ok' | 'moved'> {
    if (epoch !== this.#epoch) return 'moved';
    this.told.push({ what: 'warm', share: 1, shard });
    this.#atTarget.add(shard);
    if (this.#atTarget.size === of) this.state = 'WARM';
    return 'ok';
  }
}

/** Keys `<before><n>` by Zipf's law: the first is read most. */
export function zipfKeys(before: string, count: number, first = 1): HotKey[] {
  return Array.from({ length: count }, (_, i) => ({
    key: `${before}${i + first}`,
    readsPerSecond: 1000 / (i + first),
    loadMs: 1,
    bytes: 100,
  }));
}
