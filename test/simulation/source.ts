import type { Lsn } from '../../src/protocol/lsn.ts';
import type { Branch, Postgres } from './postgres.ts';
import type { World } from './world.ts';

/** What a stream hands over, one message a step. */
export interface StreamEvents {
  begin(commit: Branch['commits'][number]): void;
  item(item: Branch['commits'][number]['items'][number]): void;
  commit(commit: Branch['commits'][number]): void;
  keepalive(walEnd: Lsn, serverTimeMs: number): void;
}

/** The replication stream of one relay: it holds the slot until it is broken. */
export class SourceStream {
  readonly branch: Branch;
  readonly start: Lsn;
  readonly #postgres: Postgres;
  readonly #world: World;
  #next: number;
  /** Items of the next transaction that are sent; -1 before its BEGIN. */
  #item = -1;
  /** Everything that ends at or below is sent. */
  #sent: Lsn;
  #sentMs = 0;

  constructor(world: World, postgres: Postgres) {
    this.#world = world;
    this.#postgres = postgres;
    this.branch = postgres.branch;
    this.start = postgres.slot.confirmed;
    this.#sent = this.start;
    this.#next = this.branch.indexOf(this.start);
  }

  /** The server that it reads is gone, or has become another. */
  get isBroken(): boolean {
    return this.branch !== this.#postgres.branch;
  }

  get isDrained(): boolean {
    const next = this.branch.commits[this.#next];
    return next === undefined || next.endLsn > this.#postgres.flushed;
  }

  /** Sends the next message, if there is one. Only what is flushed is sent. */
  pull(events: StreamEvents): boolean {
    const { nowMs } = this.#world;
    if (this.isDrained) {
      if (this.#sentMs + 40 > nowMs) return false;
      this.#sentMs = nowMs;
      this.#sent = this.#postgres.flushed;
      events.keepalive(this.#sent, nowMs);
      return true;
    }
    // A walsender that lags answers too, with the clock of now and an old place.
    if (this.#world.random.oneIn(8)) {
      events.keepalive(this.#sent, nowMs);
      return true;
    }
    const commit = this.branch.commits[this.#next] as Branch['commits'][number];
    if (this.#item < 0) {
      this.#item = 0;
      events.begin(commit);
      return true;
    }
    // What nobody reads comes in one step, the rest item by item.
    let item = commit.items[this.#item];
    while (item !== undefined) {
      this.#item += 1;
      events.item(item);
      if (item.needed !== 0) return true;
      item = commit.items[this.#item];
    }
    this.#item = -1;
    this.#next += 1;
    this.#sent = commit.endLsn;
    events.commit(commit);
    return true;
  }
}
