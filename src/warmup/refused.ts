import type { Batch } from './plan.ts';

/** Families of which the region stores nothing for now: no agent has its cells, or the family's rules are others there. */
export class RefusedFamilies {
  /** Of each, what was loaded for nothing. It is asked for once more. */
  readonly #batches = new Map<string, Batch[]>();

  readonly has = (family: string): boolean => this.#batches.has(family);

  get batches(): readonly Batch[] {
    return [...this.#batches.values()].flat();
  }

  add(batch: Batch): void {
    const batches = this.#batches.get(batch.family) ?? [];
    this.#batches.set(batch.family, batches);
    batches.push(batch);
  }

  /** Something else was answered: the family is asked as others are. Returns what is owed of it. */
  release(family: string): readonly Batch[] {
    const batches = this.#batches.get(family) ?? [];
    this.#batches.delete(family);
    return batches;
  }

  /** So many keys to try the region with; families take turns. What becomes of them is told by `add` or `release`. */
  next(size: number): Batch | undefined {
    const [first] = this.#batches;
    if (first === undefined) return undefined;
    const [family, batches] = first;
    this.#batches.delete(family);
    this.#batches.set(family, batches);
    return takenOf(batches, size);
  }
}

/** The last of the batches, or so many keys of it. */
export function takenOf(batches: Batch[], size: number): Batch | undefined {
  const batch = batches.pop();
  if (batch === undefined || batch.keys.length <= size) return batch;
  batches.push(partOf(batch, size));
  return partOf(batch, 0, size);
}

export function partOf({ family, keys, reads }: Batch, from: number, to?: number): Batch {
  return { family, keys: keys.slice(from, to), reads: reads.slice(from, to) };
}
