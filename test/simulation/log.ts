import type { LogRecord, Offset } from '../../src/protocol/log-record.ts';
import type { PartitionRecord } from '../../src/relay/batch.ts';
import { CELLS } from './catalog.ts';
import type { Branch, SimItem } from './postgres.ts';
import type { World } from './world.ts';

/** A record as it lies in the log, with the history that its relay read. */
export interface SimRecord {
  readonly record: LogRecord;
  readonly branch: Branch;
}

interface Partition {
  base: number;
  readonly records: SimRecord[];
}

/** The log: partitions that may lose their tail, be cut at their head, and take a record again. */
export class SimLog {
  readonly #world: World;
  readonly #partitions: readonly Partition[];

  constructor(world: World) {
    this.#world = world;
    this.#partitions = Array.from({ length: CELLS }, () => ({ base: 0, records: [] }));
  }

  append(records: readonly PartitionRecord[], branch: Branch): void {
    for (const { partition, record } of records) {
      this.#partition(partition).records.push({ record, branch });
      for (const transaction of record.transactions)
        for (const item of transaction.items as readonly SimItem[]) item.sent |= 1 << partition;
    }
  }

  bounds(partition: number): { readonly first: Offset; readonly next: Offset } {
    const { base, records } = this.#partition(partition);
    return { first: base, next: base + records.length };
  }

  at(partition: number, offset: Offset): SimRecord | undefined {
    const { base, records } = this.#partition(partition);
    return records[offset - base];
  }

  last(partition: number): SimRecord | undefined {
    return this.#partition(partition).records.at(-1);
  }

  /** An unclean election: the last records are gone, acknowledged or not. A broker leads one partition, or all of them. */
  loseTail(): void {
    const { random } = this.#world;
    if (random.oneIn(3)) for (let partition = 0; partition < CELLS; partition++) this.#loseTailOf(partition);
    else this.#loseTailOf(random.below(CELLS));
  }

  #loseTailOf(partition: number): void {
    const { records } = this.#partition(partition);
    const lost = Math.min(records.length, 1 + this.#world.random.below(5));
    if (lost === 0) return;
    records.length -= lost;
    this.#world.seen.logTailLost += 1;
    this.#world.note(`log ${partition}: loses its last ${lost}, ends before ${this.bounds(partition).next}`);
  }

  /** Retention: the first records are gone, read or not. */
  truncate(keep: number): void {
    const partition = this.#world.random.below(CELLS);
    const lane = this.#partition(partition);
    const cut = Math.max(0, lane.records.length - keep);
    if (cut === 0) return;
    lane.records.splice(0, cut);
    lane.base += cut;
    this.#world.note(`log ${partition}: begins at ${lane.base} now`);
  }

  #partition(partition: number): Partition {
    return this.#partitions[partition] as Partition;
  }
}
