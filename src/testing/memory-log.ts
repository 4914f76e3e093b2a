import type { IncomingRecord, LogReader, RecordHandler } from '../agent/from-log.ts';
import { BusError } from '../protocol/errors.ts';
import type { Offset } from '../protocol/log-record.ts';
import type { LogWriter, OutgoingRecord } from '../relay/to-log.ts';

/** What the next send does: nothing lands and it fails; or everything lands, and it is reported failed. */
export type SendFault = 'lost' | 'landed';

/** A log in memory, for tests: it keeps the promises of both ports, and its faults are scripted. */
export class MemoryLog {
  readonly partitions: number;
  /** Kept records of each partition; `base` of them were trimmed. */
  readonly #lanes: { base: number; values: string[] }[];
  readonly #readers = new Set<MemoryReader>();
  readonly faults: SendFault[] = [];
  #isAway = false;

  constructor(partitions: number) {
    this.partitions = partitions;
    this.#lanes = Array.from({ length: partitions }, () => ({ base: 0, values: [] }));
  }

  append(records: readonly OutgoingRecord[]): void {
    for (const { partition, value } of records) this.#lane(partition).values.push(value);
    for (const reader of this.#readers) reader.poke();
  }

  /** Drops what is below `first`, as retention does. */
  trim(partition: number, first: Offset): void {
    const lane = this.#lane(partition);
    lane.values.splice(0, first - lane.base);
    lane.base = first;
  }

  /** Until `comeBack` nothing is delivered, and whoever asks or sends is refused. */
  goAway(): void {
    this.#isAway = true;
  }

  comeBack(): void {
    this.#isAway = false;
    for (const reader of this.#readers) reader.poke();
  }

  /** Loses what is at or above `next`, as an unclean election does. */
  loseTail(partition: number, next: Offset): void {
    const lane = this.#lane(partition);
    lane.values.length = next - lane.base;
  }

  bounds(partition: number): { readonly first: Offset; readonly next: Offset } {
    this.#requirePresence();
    const { base, values } = this.#lane(partition);
    return { first: base, next: base + values.length };
  }

  read(partition: number, from: Offset): IncomingRecord[] {
    if (this.#isAway) return [];
    const { base, values } = this.#lane(partition);
    const start = Math.max(0, from - base);
    return values.slice(start).map((value, i) => ({ offset: base + start + i, value }));
  }

  openWriter(): LogWriter {
    let isDead = false;
    return {
      partitions: this.partitions,
      lastRecords: async () => {
        this.#requirePresence();
        return this.#lanes.map(({ values }) => values.at(-1) ?? null);
      },
      send: async (records) => {
        if (isDead) throw new Error('The writer is dead: none after a failure.');
        await new Promise((resolve) => setImmediate(resolve));
        const fault = this.#isAway ? 'lost' : this.faults.shift();
        if (fault !== 'lost') this.append(records);
        if (fault === undefined) return;
        isDead = true;
        throw new BusError('KAFKA_SEND_FAILED', 'The send was reported failed.');
      },
      close: () => Promise.resolve(void (isDead = true)),
    };
  }

  openReader(handler: RecordHandler): LogReader {
    const reader = new MemoryReader(this, handler, () => this.#readers.delete(reader));
    this.#readers.add(reader);
    return reader;
  }

  #requirePresence(): void {
    if (this.#isAway) throw new BusError('KAFKA_UNREACHABLE', 'The log in memory is away.');
  }

  #lane(partition: number): { base: number; values: string[] } {
    const lane = this.#lanes[partition];
    if (lane === undefined) throw new RangeError(`The log has no partition ${partition}.`);
    return lane;
  }
}

class MemoryReader implements LogReader {
  readonly partitions: number;
  readonly ended: Promise<void>;
  readonly #log: MemoryLog;
  readonly #handler: RecordHandler;
  readonly #next = new Map<number, Offset>();
  readonly #paused = new Set<number>();
  readonly #close: () => void;
  #isPoked = false;

  constructor(log: MemoryLog, handler: RecordHandler, onClose: () => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#log = log;
    this.partitions = log.partitions;
    this.#handler = handler;
    this.ended = promise;
    this.#close = () => {
      this.#next.clear();
      onClose();
      resolve();
    };
  }

  /** Delivers at the next turn of the event loop, as a socket would. */
  poke(): void {
    if (this.#isPoked) return;
    this.#isPoked = true;
    setImmediate(() => {
      this.#isPoked = false;
      for (const [partition, next] of this.#next) {
        const records = this.#paused.has(partition) ? [] : this.#log.read(partition, next);
        const last = records.at(-1);
        if (last === undefined) continue;
        this.#next.set(partition, last.offset + 1);
        this.#handler(partition, records);
      }
    });
  }

  take(partition: number, from: Offset): Promise<void> {
    this.#next.set(partition, from);
    this.#paused.delete(partition);
    this.poke();
    return Promise.resolve();
  }

  release(partition: number): void {
    this.#next.delete(partition);
  }

  pause(partition: number): void {
    this.#paused.add(partition);
  }

  resume(partition: number): void {
    this.#paused.delete(partition);
    this.poke();
  }

  applied(): void {}

  async bounds(): Promise<readonly { readonly first: Offset; readonly next: Offset }[]> {
    return Array.from({ length: this.partitions }, (_, partition) => this.#log.bounds(partition));
  }

  close(): Promise<void> {
    this.#close();
    return Promise.resolve();
  }
}
