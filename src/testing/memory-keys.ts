import { type MemorySlot, NEVER } from './memory-slot.ts';

/** Whoever is told of changes, as a client that tracks: of the keys it has read, once each, and of cell states where it asked for them. */
export interface Tracker {
  /** A key that it read since it was last told of it: a value, or the slot beside a plain one. */
  readonly invalidated: (key: string) => void;
  /** A cell's state was written. Told to those who listen to states, each time. */
  readonly stateChanged: (cell: number) => void;
  /** Everything is gone (FLUSHALL): Redis sends a null invalidation. */
  readonly emptied: () => void;
}

type Place = 'value' | 'beside';

/** The keys that hold values: each value's own, and for plain ones the slot beside it. Time is asked at each look: a TTL ends by itself. */
export class MemoryKeys {
  readonly #nowMs: () => number;
  #value = new Map<string, MemorySlot>();
  #beside = new Map<string, MemorySlot>();
  readonly #readers = new Map<string, Set<Tracker>>();

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  get(key: string, place: Place): MemorySlot | undefined {
    const map = this.#map(place);
    const slot = map.get(key);
    // A key ends after its last millisecond, not in it.
    if (slot === undefined || slot.endsAtMs >= this.#nowMs()) return slot;
    map.delete(key);
    this.#changed(key);
    return undefined;
  }

  /** Milliseconds that are left, -1 where it has no end. */
  left(slot: MemorySlot): number {
    return slot.endsAtMs === NEVER ? -1 : slot.endsAtMs - this.#nowMs();
  }

  put(key: string, place: Place, slot: MemorySlot): void {
    this.#map(place).set(key, slot);
    this.#changed(key);
  }

  /** Whether there was one. */
  drop(key: string, place: Place): boolean {
    if (this.get(key, place) === undefined) return false;
    this.#map(place).delete(key);
    this.#changed(key);
    return true;
  }

  /** The keys of values, without slots that stand beside. */
  names(): string[] {
    return [...this.#value.keys()].filter((key) => this.get(key, 'value') !== undefined);
  }

  /** Ends what is past its time, as Redis does now and then. */
  expire(): void {
    for (const key of this.#value.keys()) this.get(key, 'value');
    for (const key of this.#beside.keys()) this.get(key, 'beside');
  }

  track(key: string, tracker: Tracker): void {
    const readers = this.#readers.get(key);
    if (readers === undefined) this.#readers.set(key, new Set([tracker]));
    else readers.add(tracker);
  }

  untrack(tracker: Tracker): void {
    for (const readers of this.#readers.values()) readers.delete(tracker);
  }

  /** Empties everything, and tells whoever has read anything, and the others that are named. */
  flush(others: Iterable<Tracker>): void {
    const told = new Set(others);
    for (const readers of this.#readers.values()) for (const reader of readers) told.add(reader);
    this.restore([new Map(), new Map()]);
    for (const tracker of told) tracker.emptied();
  }

  /** What is there now; never changed afterwards. */
  copy(): readonly [Map<string, MemorySlot>, Map<string, MemorySlot>] {
    return [new Map(this.#value), new Map(this.#beside)];
  }

  /** Puts a copy in the place of what is there. Another server knows nothing of who has read what. */
  restore([value, beside]: ReturnType<MemoryKeys['copy']>): void {
    this.#value = new Map(value);
    this.#beside = new Map(beside);
    this.#readers.clear();
  }

  #map(place: Place): Map<string, MemorySlot> {
    return place === 'value' ? this.#value : this.#beside;
  }

  #changed(key: string): void {
    const readers = this.#readers.get(key);
    if (readers === undefined) return;
    this.#readers.delete(key);
    for (const reader of readers) reader.invalidated(key);
  }
}
