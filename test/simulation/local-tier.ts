import type { Tracker } from '../../src/testing/memory-keys.ts';
import { CELLS, KEYS, type SimKey } from './catalog.ts';
import type { RegionListener, SimRegion } from './region.ts';
import type { World } from './world.ts';

export const LOCAL_STALE_MS = 2000;
const PING_EVERY_MS = 1000;

interface LocalEntry {
  readonly payload: string;
  /** Since when it is old by what was applied to the region. */
  staleSinceMs: number | undefined;
}

/** What travels on the tracking connection, in order. */
type Message =
  | { readonly kind: 'key'; readonly key: string }
  | { readonly kind: 'cell'; readonly cell: number }
  | { readonly kind: 'all' }
  | { readonly kind: 'pong'; readonly sentMs: number };

const BY_NAME = new Map(KEYS.map((key) => [key.key, key]));

/** The tier in a process, kept honest by what Redis tells on a connection of its own. */
export class LocalTier implements RegionListener {
  readonly #world: World;
  readonly #region: SimRegion;
  readonly #entries = new Map<SimKey, LocalEntry>();
  /** The step at which something was last heard of a key, a cell, or everything. */
  readonly #heardOfKey = new Map<SimKey, number>();
  readonly #heardOfCell: number[] = Array.from({ length: CELLS }, () => 0);
  #emptiedAt = 0;
  #inbox: Message[] = [];
  #isAlive = false;
  #lives = 0;
  #aliveMs = 0;
  #pingedMs = 0;
  readonly tracker: Tracker;

  constructor(world: World, region: SimRegion) {
    this.#world = world;
    this.#region = region;
    this.tracker = {
      invalidated: (key) => this.#tell({ kind: 'key', key }),
      stateChanged: (cell) => this.#tell({ kind: 'cell', cell }),
      emptied: () => this.#tell({ kind: 'all' }),
    };
    region.listeners.push(this);
  }

  get #isConnected(): boolean {
    return this.#isAlive && this.#lives === this.#region.lives;
  }

  /** A value that may be served without asking Redis. */
  get(key: SimKey): string | undefined {
    const { seen, nowMs } = this.#world;
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    if (nowMs - this.#aliveMs > LOCAL_STALE_MS) {
      seen.localSilenced += 1;
      return undefined;
    }
    seen.localHit += 1;
    if (entry.staleSinceMs !== undefined) {
      seen.localHitBehind += 1;
      if (nowMs - entry.staleSinceMs > LOCAL_STALE_MS)
        this.#world.fail(
          'I3',
          `the local tier serves ${key.key}=${entry.payload}, which is old since ${nowMs - entry.staleSinceMs} ms`,
        );
    }
    return entry.payload;
  }

  /** Takes what a read has shown, if nothing was heard of it since the read was sent. */
  offer(key: SimKey, payload: string, sentAt: number): void {
    const heard = Math.max(this.#heardOfKey.get(key) ?? 0, this.#heardOfCell[key.cell] ?? 0);
    if (heard >= sentAt) {
      this.#world.seen.localReplyOvertaken += 1;
      if (this.#world.plant !== 'reply overtaken by its invalidation') return;
    }
    if (this.#emptiedAt >= sentAt && this.#world.plant !== 'local tier kept on reconnect') return;
    this.#entries.set(key, {
      payload,
      staleSinceMs: this.#region.fault(key, payload) === undefined ? undefined : this.#world.nowMs,
    });
  }

  /** The connection that reads is another: the server has forgotten what was read on the one before. */
  readingConnectionLost(): void {
    this.#world.seen.readingConnectionLost += 1;
    this.#region.redis.untrack(this.tracker);
    if (this.#isConnected) this.#region.redis.trackStates(this.tracker);
    if (this.#world.plant !== 'local tier kept on reconnect') this.#empty();
  }

  loseTracking(): void {
    if (!this.#isConnected) return;
    this.#world.seen.trackingLost += 1;
    this.#isAlive = false;
    this.#inbox.length = this.#world.random.below(this.#inbox.length + 1);
    this.#region.redis.untrack(this.tracker);
  }

  /** A message is delivered, a ping goes out, or the connection is made anew. */
  act(): boolean {
    const message = this.#inbox.shift();
    if (message !== undefined) {
      this.#hear(message);
      return true;
    }
    const { nowMs, random } = this.#world;
    if (!this.#isConnected) return (random.oneIn(30) || this.#lives === 0) && this.#reconnect();
    if (nowMs - this.#pingedMs < PING_EVERY_MS) return false;
    this.#pingedMs = nowMs;
    // Answered behind all that the server has told before.
    this.#inbox.push({ kind: 'pong', sentMs: nowMs });
    return true;
  }

  raised(key: SimKey): void {
    const entry = this.#entries.get(key);
    if (entry === undefined || entry.staleSinceMs !== undefined) return;
    if (this.#region.fault(key, entry.payload) !== undefined) entry.staleSinceMs = this.#world.nowMs;
  }

  #tell(message: Message): void {
    if (this.#isConnected) this.#inbox.push(message);
  }

  #reconnect(): boolean {
    this.#inbox = [];
    this.#lives = this.#region.lives;
    this.#isAlive = true;
    this.#aliveMs = this.#world.nowMs;
    this.#pingedMs = this.#world.nowMs;
    this.#region.redis.untrack(this.tracker);
    this.#region.redis.trackStates(this.tracker);
    if (this.#world.plant !== 'local tier kept on reconnect') this.#empty();
    return true;
  }

  #hear(message: Message): void {
    const { step, seen } = this.#world;
    switch (message.kind) {
      case 'key': {
        const key = BY_NAME.get(message.key);
        if (key === undefined) return;
        this.#heardOfKey.set(key, step);
        if (this.#entries.delete(key)) seen.localDroppedByInvalidation += 1;
        return;
      }
      case 'cell':
        this.#heardOfCell[message.cell] = step;
        for (const key of this.#entries.keys())
          if (key.cell === message.cell && this.#entries.delete(key)) seen.localDroppedByState += 1;
        return;
      case 'all':
        return this.#empty();
      case 'pong':
        this.#aliveMs = message.sentMs;
    }
  }

  #empty(): void {
    this.#entries.clear();
    this.#emptiedAt = this.#world.step;
  }
}
