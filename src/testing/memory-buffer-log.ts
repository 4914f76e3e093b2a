import type {
  AppendAnswer,
  BufferDepth,
  BufferLog,
  OutgoingEntry,
  ReadLimits,
  StoredEntry,
} from '../buffer/buffer-log.ts';

interface Held extends OutgoingEntry {
  readonly id: number;
  readonly atMs: number;
}

export interface MemoryBufferLimits {
  readonly partitions: number;
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/** What a server that stands for itself in a test does with the next append. */
export type AppendFault = 'lost-request' | 'lost-answer' | 'away' | 'out-of-memory';

/** A buffer's log in memory: the twin of the one in Redis, which passes the same contract. Its server can lose its tail, and itself. */
export class MemoryBufferLog implements BufferLog {
  readonly #limits: MemoryBufferLimits;
  readonly #nowMs: () => number;
  readonly #partitions: Held[][];
  #nextId = 1;
  /** Changes with each start of the server: what was read before is not removed after. */
  #start = 0;
  /** What comes of the next appends, the first first. */
  readonly faults: AppendFault[] = [];

  constructor(limits: MemoryBufferLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#partitions = Array.from({ length: limits.partitions }, () => []);
  }

  async append(partition: number, entry: OutgoingEntry, isForced: boolean): Promise<AppendAnswer> {
    const fault = this.faults.shift();
    const error = new Error(`fault: ${fault}`);
    if (fault === 'away') return { kind: 'away', error };
    if (fault === 'out-of-memory') return { kind: 'full', error };
    if (fault === 'lost-request') return { kind: 'unknown', error };
    const held = this.#held(partition);
    const share = (all: number): number => Math.max(1, Math.floor(all / this.#limits.partitions));
    const keys = held.reduce((sum, one) => sum + one.keys, 0) + entry.keys;
    const bytes = held.reduce((sum, one) => sum + bytesOf(one), 0) + bytesOf(entry);
    const isEmpty = held.length === 0;
    if (!isForced && !isEmpty && (keys > share(this.#limits.entriesMax) || bytes > share(this.#limits.bytesMax)))
      return { kind: 'full', error: new Error('The buffer is full.') };
    const { writer, seq, shape, data } = entry;
    held.push({ writer, seq, shape, data, keys: entry.keys, id: this.#nextId++, atMs: this.#nowMs() });
    return fault === 'lost-answer' ? { kind: 'unknown', error } : { kind: 'appended' };
  }

  async read(partition: number, { entriesMax, bytesMax }: ReadLimits): Promise<readonly StoredEntry[]> {
    const read: StoredEntry[] = [];
    let bytes = 0;
    for (const { id, atMs: _, ...entry } of this.#held(partition)) {
      if (read.length >= entriesMax || bytes >= bytesMax) break;
      bytes += bytesOf(entry);
      read.push({ ...entry, place: { id, start: this.#start } });
    }
    return read;
  }

  async remove(partition: number, entries: readonly StoredEntry[]): Promise<void> {
    const ids = new Set(
      entries
        .map(({ place }) => place as { readonly id: number; readonly start: number })
        .filter(({ start }) => start === this.#start)
        .map(({ id }) => id),
    );
    this.#partitions[partition] = this.#held(partition).filter(({ id }) => !ids.has(id));
  }

  async depth(): Promise<BufferDepth> {
    const all = this.#partitions.flat();
    return {
      entries: all.reduce((sum, { keys }) => sum + keys, 0),
      bytes: all.reduce((sum, one) => sum + bytesOf(one), 0),
      oldestMs: all.length === 0 ? 0 : this.#nowMs() - Math.min(...all.map(({ atMs }) => atMs)),
    };
  }

  async close(): Promise<void> {}

  /** The server comes back as it was so many entries ago, and gives their ids again. What was removed since may be back. */
  crash(lostTail: number, back: readonly { readonly partition: number; readonly entry: OutgoingEntry }[] = []): void {
    this.#start += 1;
    for (const held of this.#partitions) held.splice(Math.max(0, held.length - lostTail), lostTail);
    for (const { partition, entry } of back) this.#held(partition).unshift({ ...entry, id: 0, atMs: this.#nowMs() });
    this.#nextId = 1 + Math.max(0, ...this.#partitions.flat().map(({ id }) => id));
  }

  #held(partition: number): Held[] {
    const held = this.#partitions[partition];
    if (held === undefined) throw new RangeError(`There is no partition ${partition}.`);
    return held;
  }
}

function bytesOf({ data }: { readonly data: string }): number {
  return Buffer.byteLength(data);
}
