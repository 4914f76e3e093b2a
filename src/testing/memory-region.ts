import type { ApplyAnswer, ApplyBatch, NewEpoch, RedisIdentity, SweptKeys } from '../agent/region-store.ts';
import type {
  Entry,
  LeaseReply,
  LeaseRequest,
  ReadReply,
  ReadWants,
  StoreReply,
  StoreRequest,
  WriteLeaseReply,
  WriteLeaseRequest,
} from '../client/cache-store.ts';
import { fromByteText, toByteText } from '../protocol/byte-text.ts';
import { REPORTS_MAX, REPORTS_TTL_MS } from '../protocol/hot-key.ts';
import { lsnToHex } from '../protocol/lsn.ts';
import { MemoryGate } from './memory-gate.ts';
import { MemoryCell } from './memory-cell.ts';
import { MemoryFills } from './memory-fills.ts';
import { MemoryKeys, type Tracker } from './memory-keys.ts';
import { NEVER, slotOf, textOf } from './memory-slot.ts';

/** What a region held at one moment, for a failover that loses what came after. */
export interface MemorySnapshot {
  readonly keys: ReturnType<MemoryKeys['copy']>;
  readonly cells: readonly MemoryCell[];
  readonly agents: ReadonlyMap<string, number>;
  readonly gate: unknown;
}

export interface MemoryRegionOptions {
  readonly cells: number;
  /** The Redis server's clock, Unix time in milliseconds. */
  readonly nowMs: () => number;
}

/** As in apply.lua. */
const REFRESHES_MAX = 10_000;
/** As in the driver: an agent that has not renewed itself for so long counts no more. */
const LIVING_MS = 3000;

/**
 * A region's Redis in memory. Each method is what one script does, and happens at once: nothing is awaited, so a simulation may call it as often as it
 * likes. memory-stores.ts gives it the two ports. What befalls a Redis is below: it is emptied, fails over, drops keys, is written to by others.
 */
export class MemoryRegion {
  readonly #options: MemoryRegionOptions;
  readonly #keys: MemoryKeys;
  readonly #fills: MemoryFills;
  readonly gate: MemoryGate;
  /** Reports of what processes read, oldest first. */
  #hotReads: string[] = [];
  #hotReadsEndMs = 0;
  readonly #waiters = new Set<(key: string) => void>();
  readonly #stateTrackers = new Set<Tracker>();
  #cells: MemoryCell[];
  #agents = new Map<string, number>();
  #lives = 1;
  #identity: RedisIdentity = { runId: 'run-1', replicationId: 'replication-1', formerReplicationId: '' };

  constructor(options: MemoryRegionOptions) {
    this.#options = options;
    this.gate = new MemoryGate(options.nowMs);
    this.#keys = new MemoryKeys(options.nowMs);
    this.#cells = Array.from({ length: options.cells }, () => new MemoryCell());
    this.#fills = new MemoryFills(
      this.#keys,
      (number) => this.cell(number),
      options.nowMs,
      (key) => this.#leaseEnded(key),
    );
  }

  get cells(): number {
    return this.#options.cells;
  }

  get identity(): RedisIdentity {
    return this.#identity;
  }

  /** For looking; whoever writes to it is a fault of its own. */
  cell(number: number): MemoryCell {
    const cell = this.#cells[number];
    if (cell === undefined) throw new RangeError(`Cell ${number} does not exist: the region has ${this.cells}.`);
    return cell;
  }

  // What agents do.

  enlist(agent: string): number {
    const nowMs = this.#options.nowMs();
    for (const [other, atMs] of this.#agents) if (atMs <= nowMs - LIVING_MS || atMs > nowMs) this.#agents.delete(other);
    this.#agents.set(agent, nowMs);
    return this.#agents.size;
  }

  dismiss(agent: string): number {
    this.#agents.delete(agent);
    return this.#agents.size;
  }

  appendHotReads(reports: readonly string[]): void {
    this.#hotReads = [...this.#hotReadsNow(), ...reports].slice(-REPORTS_MAX);
    this.#hotReadsEndMs = this.#options.nowMs() + REPORTS_TTL_MS;
  }

  takeHotReads(count: number): string[] {
    return this.#hotReadsNow().splice(0, count);
  }

  owners(): string[] {
    return this.#cells.map((cell) => cell.ownerText);
  }

  release(number: number, token: string): void {
    const cell = this.cell(number);
    if (cell.isOwnedBy(token)) cell.owner = undefined;
  }

  apply(number: number, token: string, batch: ApplyBatch): ApplyAnswer {
    const answer = this.cell(number).apply(token, batch, () => {
      let unlinked = 0;
      for (const key of batch.keys) if (this.#keys.drop(key, 'value')) unlinked += 1;
      for (const key of batch.plainKeys) this.#keys.drop(key, 'beside');
      let expired = 0;
      for (const one of batch.expires) {
        if (this.#fills.expire(number, one)) expired += 1;
        else if (this.#keys.drop(one.key, 'value')) unlinked += 1;
      }
      const { refreshes } = this.cell(number);
      for (const { key, isPlain, family, commitLsn } of batch.refreshes) {
        const was = this.#keys.drop(key, 'value');
        if (isPlain) this.#keys.drop(key, 'beside');
        if (was) unlinked += 1;
        if (refreshes.has(key) || (was && refreshes.size < REFRESHES_MAX))
          refreshes.set(key, { key, family, change: `${lsnToHex(commitLsn)} ${family}` });
      }
      return { unlinked, expired };
    });
    if (answer.kind === 'applied' && (batch.marks.length > 0 || batch.rules.length > 0)) this.#stateChanged(number);
    return answer;
  }

  beginEpoch(number: number, token: string, epoch: NewEpoch): ApplyAnswer {
    const answer = this.cell(number).beginEpoch(token, epoch);
    if (answer.kind === 'applied') this.#stateChanged(number);
    return answer;
  }

  sweep(number: number, token: string, swept: SweptKeys): number {
    return this.cell(number).isOwnedBy(token) ? this.#fills.sweep(number, swept) : 0;
  }

  /** The cache keys of all values that are there: what a scan walks over. */
  keys(): string[] {
    return this.#keys.names();
  }

  // What readers do.

  /** `tracker`: the connection that reads, where it tracks. */
  read(entry: Entry, wants: ReadWants, tracker?: Tracker): ReadReply {
    return this.#fills.read(entry, wants, tracker);
  }

  lease(entry: Entry, request: LeaseRequest): LeaseReply {
    return this.#fills.lease(entry, request);
  }

  leaseToWrite(entry: Entry, request: WriteLeaseRequest): WriteLeaseReply {
    return this.#fills.leaseToWrite(entry, request);
  }

  store(entry: Entry, request: StoreRequest): StoreReply {
    return this.#fills.store(entry, request);
  }

  giveUp(entry: Entry, token: string): void {
    this.#fills.giveUp(entry, token);
  }

  evict(entries: readonly Entry[]): void {
    for (const { key, isPlain } of entries) {
      this.#keys.drop(key, 'value');
      if (isPlain) this.#keys.drop(key, 'beside');
    }
  }

  rules(): ReadonlyMap<string, string> {
    return new Map(this.cell(0).rules);
  }

  // Who is told.

  /** Told the key of each lease that ends while somebody waits for it. Returns how to stop. */
  onLeaseEnd(waiter: (key: string) => void): () => void {
    this.#waiters.add(waiter);
    return () => void this.#waiters.delete(waiter);
  }

  /** Tells a tracker of every write to a cell's state (BCAST). */
  trackStates(tracker: Tracker): void {
    this.#stateTrackers.add(tracker);
  }

  /** Its connection is gone, and with it what it was to be told. */
  untrack(tracker: Tracker): void {
    this.#stateTrackers.delete(tracker);
    this.#keys.untrack(tracker);
  }

  // What befalls a Redis.

  snapshot(): MemorySnapshot {
    return {
      keys: this.#keys.copy(),
      cells: this.#cells.map((cell) => cell.clone()),
      agents: new Map(this.#agents),
      gate: this.gate.snapshot(),
    };
  }

  /** A replica that had come as far as the snapshot is promoted. Connections are lost: nobody is told of anything any more. */
  failOver(to: MemorySnapshot): void {
    this.#become(to);
    this.#newLife(this.#identity.replicationId);
  }

  /** Restarts without data. */
  restartEmpty(): void {
    this.#become(this.#nothing());
    this.#newLife('');
  }

  /** FLUSHALL: the same server goes on, empty, and tells whoever tracks. */
  flush(): void {
    this.#cells = Array.from({ length: this.cells }, () => new MemoryCell());
    this.#agents.clear();
    this.gate.clear();
    this.#hotReads = [];
    this.#keys.flush(this.#stateTrackers);
  }

  /** A key goes: by memory pressure, or an operator's DEL. `beside`: the slot beside a plain value. Whether it was there. */
  drop(key: string, place: 'value' | 'beside' = 'value'): boolean {
    return this.#keys.drop(key, place);
  }

  /** SET by somebody who knows nothing of slots. Without a TTL it stays. */
  set(key: string, text: string, ttlMs?: number): void {
    this.#keys.put(key, 'value', slotOf(toByteText(text), ttlMs === undefined ? NEVER : this.#options.nowMs() + ttlMs));
  }

  /** GET by somebody who knows nothing of slots. */
  get(key: string, place: 'value' | 'beside' = 'value'): string | null {
    const slot = this.#keys.get(key, place);
    return slot === undefined ? null : fromByteText(textOf(slot));
  }

  loseRecord(number: number): void {
    this.cell(number).loseRecord();
  }

  loseState(number: number): void {
    this.cell(number).loseState();
    this.#stateChanged(number);
  }

  /** Ends keys that are past their time, and tells who has read them. Without it that happens at the next look. */
  expire(): void {
    this.#keys.expire();
  }

  #hotReadsNow(): string[] {
    if (this.#options.nowMs() >= this.#hotReadsEndMs) this.#hotReads = [];
    return this.#hotReads;
  }

  #become({ keys, cells, agents, gate }: MemorySnapshot): void {
    this.#keys.restore(keys);
    this.#cells = cells.map((cell) => cell.clone());
    this.#agents = new Map(agents);
    this.gate.restore(gate);
    this.#hotReads = [];
    this.#stateTrackers.clear();
    this.#waiters.clear();
  }

  #nothing(): MemorySnapshot {
    const cells = Array.from({ length: this.cells }, () => new MemoryCell());
    return { keys: [new Map(), new Map()], cells, agents: new Map(), gate: undefined };
  }

  #newLife(formerReplicationId: string): void {
    this.#lives += 1;
    const replicationId = `replication-${this.#lives}`;
    this.#identity = { runId: `run-${this.#lives}`, replicationId, formerReplicationId };
  }

  #stateChanged(number: number): void {
    for (const tracker of this.#stateTrackers) tracker.stateChanged(number);
  }

  #leaseEnded(key: string): void {
    for (const waiter of this.#waiters) waiter(key);
  }
}
