import { cellOf, hashKey } from '../protocol/key-hash.ts';
import type { BufferValue } from './entry.ts';
import { Lane, type LanePorts } from './lane.ts';

/** A buffer in one process: a lane a partition. */
export class BufferWriter {
  readonly #lanes: readonly Lane[];

  constructor(ports: LanePorts) {
    this.#lanes = Array.from({ length: ports.config.partitions }, (_, partition) => new Lane(partition, ports));
  }

  /** Resolves when the call stands in the log. `bytes`: what the value takes beside its key. */
  put(key: string, value: BufferValue, bytes: number): Promise<void> {
    const lane = this.#lanes[this.partitionOf(key)];
    if (lane === undefined) throw new RangeError('A key has no partition.');
    return lane.put(key, value, bytes);
  }

  partitionOf(key: string): number {
    return cellOf(hashKey(key), this.#lanes.length);
  }

  /** Sends what is gathered, and resolves when nothing is on its way. */
  async drained(): Promise<void> {
    await Promise.all(this.#lanes.map((lane) => lane.drained()));
  }
}
