import {
  type CellsAnswer,
  type GateShard,
  type GateStore,
  HALF_BEGAN_ANEW,
  type NotedCells,
  type StoredGate,
  WHOLE,
} from '../protocol/region-gate.ts';

interface Kept {
  gate: StoredGate;
  readonly cells: Map<number, string>;
  readonly begun: Set<number>;
  shards: number;
  readonly shares: Map<number, number>;
  readonly warm: Set<number>;
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
      if (known !== undefined && known !== name) kept.begun.add(cell);
      kept.cells.set(cell, name);
    }
    const begun = kept.begun.size;
    if (begun * 2 < regionCells) return { kind: 'noted' };
    const cold = this.#cold(next, HALF_BEGAN_ANEW);
    for (const [cell, name] of cells) cold.cells.set(cell, name);
    return { kind: 'cold', begun };
  }

  report(epoch: string, share: number, shard: GateShard = WHOLE): 'ok' | 'moved' {
    return this.#tell(epoch, shard, (kept) => kept.shares.set(shard.shard, share));
  }

  warm(epoch: string, shard: GateShard = WHOLE): 'ok' | 'moved' {
    return this.#tell(epoch, shard, (kept) => kept.warm.add(shard.shard));
  }

  open(epoch: string): 'ok' | 'moved' {
    const kept = this.#of(epoch);
    if (kept === undefined) return 'moved';
    if (kept.gate.state !== 'WARM') this.#become(kept, 'WARM', 'opened by hand');
    return 'ok';
  }

  #tell(epoch: string, { of }: GateShard, note: (kept: Kept) => void): 'ok' | 'moved' {
    const kept = this.#of(epoch);
    if (kept === undefined) return 'moved';
    if (kept.shards !== of) {
      kept.shares.clear();
      kept.warm.clear();
      kept.shards = of;
    }
    note(kept);
    const sum = [...kept.shares.values()].reduce((all, one) => all + one, 0);
    kept.gate = { ...kept.gate, share: Number((sum / of).toFixed(6)) };
    if (kept.gate.state !== 'WARM' && kept.warm.size === of) this.#become(kept, 'WARM', 'warmed');
    else if (kept.gate.state === 'COLD') this.#become(kept, 'WARMING', 'a warm-up is at work');
    return 'ok';
  }

  #become(kept: Kept, state: StoredGate['state'], reason: string): void {
    kept.gate = { ...kept.gate, state, reason, sinceMs: this.#nowMs() };
  }

  #of(epoch: string): Kept | undefined {
    return this.#kept?.gate.epoch === epoch ? this.#kept : undefined;
  }

  #cold(epoch: string, reason: string): Kept {
    this.#kept = {
      gate: { epoch, state: 'COLD', share: 0, reason, sinceMs: this.#nowMs() },
      cells: new Map(),
      begun: new Set(),
      shards: 0,
      shares: new Map(),
      warm: new Set(),
    };
    return this.#kept;
  }
}
