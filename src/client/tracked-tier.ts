import { LRUCache } from 'lru-cache';
import type { Clock } from '../runtime/clock.ts';
import type { Entry } from './cache-store.ts';
import { decodePayload } from './codec.ts';
import { copyOf, freezeWhole } from './copy-of.ts';
import { Heard } from './heard.ts';
import type { HeldTimes, LocalTier, TierNews } from './tier.ts';
import type { Told } from './told.ts';

/** `copied`: each hit gets a value of its own. `shared`: all get the same, frozen; what cannot be frozen (a date, bytes) is copied still. */
export type LocalValues = 'copied' | 'shared';

export interface TrackedTierParts {
  readonly clock: Clock;
  readonly cells: number;
  readonly entriesMax: number;
  /** How old the last proof may be that everything invalidated has been told. */
  readonly staleMs: number;
  readonly values: LocalValues;
}

interface Held {
  readonly value: unknown;
  /** Frozen, and given to all. */
  readonly isShared: boolean;
  readonly cell: number;
  /** The tier's count as the read was sent. */
  readonly sending: number;
  readonly untilMs: number;
  /** When its time to live is over, by the monotonic clock. */
  readonly endsMs: number;
  readonly readAtMs: number | undefined;
}

/** While nothing is told: a read that is sent now brings nothing in. */
const NEVER = -1;

/** The tier that is kept honest by what Redis tells of the keys that were read. */
export class TrackedTier implements LocalTier, TierNews {
  readonly #parts: TrackedTierParts;
  readonly #clock: Clock;
  readonly #values: LRUCache<string, Held>;
  readonly #heard = new Heard();
  readonly #heardOfCell: number[];
  #emptiedAt = 0;
  #isTold = false;
  /** Until when what is held may be served, unless a further proof comes. */
  #servedUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: TrackedTierParts) {
    this.#parts = parts;
    this.#clock = parts.clock;
    this.#values = new LRUCache({ max: parts.entriesMax });
    this.#heardOfCell = Array.from({ length: parts.cells }, () => 0);
  }

  get(key: string, told?: Told): unknown {
    const held = this.#values.get(key);
    if (held === undefined) return undefined;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs >= this.#servedUntilMs) {
      this.all();
      return undefined;
    }
    if (nowMs >= held.untilMs || held.sending < (this.#heardOfCell[held.cell] ?? 0)) {
      this.#values.delete(key);
      return undefined;
    }
    if (told !== undefined) {
      told.held = held;
      told.readAtMs = held.readAtMs;
      told.leftMs = held.endsMs - nowMs;
    }
    return held.isShared ? held.value : copyOf(held.value);
  }

  sending(): number {
    return this.#isTold ? this.#heard.count : NEVER;
  }

  put(entry: Entry, payload: string | null, sending: number, { lifeMs, leftMs, readAtMs }: HeldTimes): void {
    const { key, cell } = entry;
    if (lifeMs <= 0 || sending < this.#emptiedAt || sending < (this.#heardOfCell[cell] ?? 0)) return;
    if (this.#heard.hasSince(key, sending)) return;
    const value = decodePayload(payload);
    if (value === undefined) return;
    const nowMs = this.#clock.monotonicMs();
    this.#values.set(key, {
      value,
      isShared: this.#parts.values === 'shared' && freezeWhole(value),
      cell,
      sending,
      untilMs: nowMs + lifeMs,
      endsMs: nowMs + leftMs,
      readAtMs,
    });
  }

  drop(key: string): void {
    this.#heard.of(key);
    this.#values.delete(key);
  }

  key(key: string): void {
    this.drop(key);
  }

  /** What is held of the cell is found to be old as it is asked for. */
  state(cell: number): void {
    this.#heardOfCell[cell] = this.#heard.next();
  }

  all(): void {
    this.#values.clear();
    this.#emptiedAt = this.#heard.next();
  }

  proven(atMs: number): void {
    this.#isTold = true;
    this.#servedUntilMs = atMs + this.#parts.staleMs;
  }

  lost(): void {
    this.#isTold = false;
    this.#servedUntilMs = Number.NEGATIVE_INFINITY;
    this.all();
  }
}
