import {
  BEGUN_FOR_MS,
  type CellsAnswer,
  type GateShard,
  type GateStore,
  HALF_BEGAN_ANEW,
  type NotedCells,
  type StoredGate,
  WHOLE,
} from '../protocol/region-gate.ts';

/** What the shards of one division of the keys have said. */
interface Said {
  readonly shares: Map<number, number>;
  readonly warm: Set<number>;
}

interface Kept {
  gate: StoredGate;
  readonly cells: Map<number, string>;
  /** When each cell began anew that did. */
  readonly begun: Map<number, number>;
  /** By how many shards there are. */
  readonly divisions: Map<number, Said>;
}

/** A region's gate in memory. Each method is what one script does. */
export class MemoryGate {
  readonly #nowMs: () => number;
  #kept: Kept | undefined;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** As it is now, for a failover to come back to. */
  snapshot(): unknown {
    return structuredClone(this.#kept);
  }

  restore(snapshot: unknown): void {
    this.#kept = structuredClone(snapshot) as Kept | undefined;
  }

  clear(): void {
    this.#kept = undefined;
  }

  read(): StoredGate | null {
    return this.#kept?.gate ?? null;
  }

  markCold(epoch: string, reason: string, former = ''): Awaited<ReturnType<GateStore['markCold']>> {
    const kept = this.#kept;
    if (kept !== undefined && kept.gate.epoch !== former) return { isMarked: false, gate: kept.gate };
    return { isMarked: true, gate: this.#cold(epoch, reason).gate };
  }

  noteCells({ epoch, next, cells, regionCells }: NotedCells): CellsAnswer {
    const kept = this.#of(epoch);
    if (kept === undefined) return { kind: 'moved' };
    for (const [cell, name] of cells) {
      const known = kept.cells.get(cell);
      if (known !== undefined && known !== name) kept.begun.set(cell, this.#nowMs());
      kept.cells.set(cell, name);
    }
    const begun = [...kept.begun.values()].filter((atMs) => this.#nowMs() - atMs < BEGUN_FOR_MS).length;
    if (begun * 2 < regionCells) return { kind: 'noted' };
    const cold = this.#cold(next, HALF_BEGAN_ANEW);
    for (const [cell, name] of cells) cold.cells.set(cell, name);
    return { kind: 'cold', begun };
  }

  report(epoch: string, share: number, shard: GateShard = WHOLE): 'ok' | 'moved' {
    return this.#tell(epoch, shard, ({ shares }) =>
      shares.set(shard.shard, Math.max(share, shares.get(shard.shard) ?? 0)),
    );
  }

  warm(epoch: string, shard: GateShard = WHOLE): 'ok' | 'moved' {
    return this.#tell(epoch, shard, (said) => said.warm.add(shard.shard));
  }

  open(epoch: string): 'ok' | 'moved' {
    const kept = this.#of(epoch);
    if (kept === undefined) return 'moved';
    if (kept.gate.state !== 'WARM') this.#become(kept, 'WARM', 'opened by hand');
    return 'ok';
  }

  #tell(epoch: string, { of }: GateShard, note: (said: Said) => void): 'ok' | 'moved' {
    const kept = this.#of(epoch);
    if (kept === undefined) return 'moved';
    const said = kept.divisions.get(of) ?? { shares: new Map(), warm: new Set() };
    kept.divisions.set(of, said);
    note(said);
    const means = [...kept.divisions].map(([many, { shares }]) => [...shares.values()].reduce(sum, 0) / many);
    kept.gate = { ...kept.gate, share: Number(Math.max(...means).toFixed(6)) };
    const isWarm = [...kept.divisions].some(([many, { warm }]) => warm.size === many);
    if (kept.gate.state !== 'WARM' && isWarm) this.#become(kept, 'WARM', 'warmed');
    else if (kept.gate.state === 'COLD') this.#become(kept, 'WARMING', 'a warm-up is at work');
    return 'ok';
  }

  #become(kept: Kept, state: StoredGate['state'], reason: string): void {
    kept.gate = { ...kept.gate, state, reason, sinceMs: this.#nowMs() };
    if (state === 'WARM') kept.begun.clear();
  }

  #of(epoch: string): Kept | undefined {
    return this.#kept?.gate.epoch === epoch ? this.#kept : undefined;
  }

  #cold(epoch: string, reason: string): Kept {
    this.#kept = {
      gate: { epoch, state: 'COLD', share: 0, reason, sinceMs: this.#nowMs() },
      cells: new Map(),
      begun: new Map(),
      divisions: new Map(),
    };
    return this.#kept;
  }
}

function sum(a: number, b: number): number {
  return a + b;
}
