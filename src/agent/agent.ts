import type { BusConfig } from '../config/bus-config.ts';
import { BusError, isBusError } from '../protocol/errors.ts';
import type { Lsn } from '../protocol/lsn.ts';
import { backoffMs } from '../runtime/backoff.ts';
import type { Clock } from '../runtime/clock.ts';
import { Cell, type CellEnd } from './cell.ts';
import type { LogReader, RecordHandler } from './from-log.ts';
import type { AgentObserver } from './observe.ts';
import { Ownership } from './ownership.ts';
import { isUnrelated } from './redis-life.ts';
import type { RedisIdentity, RegionStore } from './region-store.ts';
import { type ReplicaProbe, settledOnReplicas } from './replica-watch.ts';
import { type OwedSweep, sweep } from './sweep.ts';

/** Between two looks at the region: who lives, who owns what, is this still the same Redis. */
const LOOK_EVERY_MS = 500;
/** Between two looks at the replicas while something is not settled on them, and while everything is. */
const REPLICA_BUSY_MS = 10;
const REPLICA_IDLE_MS = 1000;
const SWEEP_EVERY_MS = 1000;
const BACKOFF = { firstMs: 100, maxMs: 5000 };

export interface AgentPorts {
  readonly connectStore: () => Promise<RegionStore>;
  readonly openLog: (handler: RecordHandler) => Promise<LogReader>;
  readonly replicas: readonly ReplicaProbe[];
  readonly clock: Clock;
  readonly observer: AgentObserver;
  /** Numbers in [0, 1). */
  readonly random: () => number;
  /** Sixteen random hex digits, never the same twice. */
  readonly token: () => string;
}

interface Running {
  readonly cell: Cell;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

/**
 * Stage 2: from the log into one region's Redis. Any number of agents share the cells of a region, each cell applied by the one that
 * owns it. While Redis is away everything in memory is forgotten: what is true stands in Redis, and is read from there on return.
 */
export class Agent {
  readonly name = 'agent';
  readonly #ports: AgentPorts;
  readonly #config: BusConfig;
  readonly #token: string;
  readonly #drain = new AbortController();
  readonly #ended = Promise.withResolvers<void>();
  readonly #failed = Promise.withResolvers<never>();
  #ownership = new Ownership();
  #cells = new Map<number, Running>();
  readonly #barred = new Set<number>();
  #reader: LogReader | undefined;
  #identity: RedisIdentity | undefined;
  #settledReplica: Lsn | null = null;
  #sweepsOwed = 0;

  constructor(ports: AgentPorts, config: BusConfig) {
    this.#ports = ports;
    this.#config = config;
    this.#token = ports.token();
    this.#failed.promise.catch(() => undefined);
  }

  async run(stop: AbortSignal): Promise<void> {
    const { openLog, clock, random, observer } = this.#ports;
    const until = AbortSignal.any([stop, this.#drain.signal]);
    const reader = await openLog((partition, records) => this.#cells.get(partition)?.cell.deliver(records));
    this.#reader = reader;
    try {
      let failures = 0;
      let awaySinceMs = clock.monotonicMs();
      while (!until.aborted) {
        try {
          await this.#life(reader, until, () => {
            observer.redisAway((clock.monotonicMs() - awaySinceMs) / 1000);
            failures = 0;
          });
        } catch (error) {
          if (until.aborted) break;
          if (!isBusError(error) || (error.retry !== 'retry' && error.retry !== 'reset')) throw error;
          if (failures === 0) {
            awaySinceMs = clock.monotonicMs();
            observer.away(error);
          }
          failures += 1;
          await clock.sleep(backoffMs(failures, BACKOFF, random), until);
        }
      }
    } finally {
      await reader.close();
      this.#ended.resolve();
    }
  }

  /** Finishes what is under way, gives every cell back, and ends `run`. */
  async drain(): Promise<void> {
    this.#drain.abort();
    await this.#ended.promise;
  }

  /** One spell of connection to the region's Redis. */
  async #life(reader: LogReader, until: AbortSignal, onConnected: () => void): Promise<void> {
    const store = await this.#ports.connectStore();
    const over = new AbortController();
    const signal = AbortSignal.any([until, over.signal]);
    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    const fail = (error: unknown): void => failed.reject(error);
    this.#ownership = new Ownership();
    try {
      await this.#compareIdentity(store);
      this.#ports.observer.connected();
      onConnected();
      const loops = [
        this.#lookLoop(store, reader, signal, fail),
        this.#replicaLoop(store, signal),
        this.#sweepLoop(store, signal),
      ];
      await Promise.race([Promise.all(loops), failed.promise, reader.ended.then(() => logEnded())]);
      await this.#giveUpAll(store);
    } finally {
      over.abort();
      await this.#abandonAll();
      await store.close();
    }
  }

  async #lookLoop(
    store: RegionStore,
    reader: LogReader,
    signal: AbortSignal,
    fail: (error: unknown) => void,
  ): Promise<void> {
    while (!signal.aborted) {
      await this.#look(store, reader, fail);
      await this.#ports.clock.sleep(LOOK_EVERY_MS, signal);
    }
  }

  async #look(store: RegionStore, reader: LogReader, fail: (error: unknown) => void): Promise<void> {
    const { clock } = this.#ports;
    const living = await store.enlist(this.#token);
    await this.#compareIdentity(store);
    await this.#beat(store);
    const owners = await store.owners();
    const held = new Set(this.#cells.keys());
    const decision = this.#ownership.decide({
      owners,
      token: this.#token,
      held,
      barred: this.#barred,
      living,
      nowMs: clock.monotonicMs(),
    });
    if (decision.release !== undefined) await this.#giveUp(store, decision.release);
    for (const { cell, seen } of decision.take) {
      const answer = await store.take(cell, seen, this.#token);
      if (answer.kind === 'taken') this.#start(store, reader, cell, answer.stored, fail);
    }
    await this.#report(reader);
  }

  async #beat(store: RegionStore): Promise<void> {
    const cells = [...this.#cells.keys()];
    const answers = await store.beat(cells, this.#token);
    answers.forEach((answer, i) => {
      const cell = cells[i] ?? -1;
      const running = this.#cells.get(cell);
      if (answer.kind === 'kept') running?.cell.beaten(answer.offset);
      else if (running !== undefined) this.#lose(cell, running);
    });
  }

  #start(
    store: RegionStore,
    reader: LogReader,
    number: number,
    stored: Parameters<Cell['run']>[0],
    fail: (error: unknown) => void,
  ): void {
    const { clock, observer, token } = this.#ports;
    const facts = { config: this.#config, cells: reader.partitions, hasReplicas: this.#ports.replicas.length > 0 };
    const cell = new Cell(number, { store, reader, clock, observer, facts, token: this.#token, epochName: token });
    const stop = new AbortController();
    const done = cell.run(stored, stop.signal).then((end) => this.#cellEnded(store, number, end), fail);
    this.#cells.set(number, { cell, stop, done: done.catch(fail) });
    observer.took(number);
  }

  async #cellEnded(store: RegionStore, cell: number, end: CellEnd): Promise<void> {
    const running = this.#cells.get(cell);
    if (end === 'another owner' && running !== undefined) this.#lose(cell, running);
    if (end !== 'incomprehensible') return;
    // Another agent may know the version; this one does not ask for the cell again.
    this.#barred.add(cell);
    this.#forget(cell);
    await store.release(cell, this.#token);
  }

  #lose(cell: number, running: Running): void {
    running.stop.abort();
    this.#forget(cell);
    this.#ports.observer.gaveUp(cell, 'another owner');
  }

  #forget(cell: number): void {
    this.#reader?.release(cell);
    this.#cells.delete(cell);
  }

  async #giveUp(store: RegionStore, cell: number): Promise<void> {
    const running = this.#cells.get(cell);
    if (running === undefined) return;
    running.stop.abort();
    await running.done;
    this.#forget(cell);
    await store.release(cell, this.#token);
    this.#ports.observer.gaveUp(cell, 'released');
  }

  /** First out of the living, so that the others' share grows, then the cells, one by one. */
  async #giveUpAll(store: RegionStore): Promise<void> {
    await store.dismiss(this.#token);
    for (const cell of this.#cells.keys()) await this.#giveUp(store, cell);
  }

  /** Without Redis nothing that is in memory counts. */
  async #abandonAll(): Promise<void> {
    const abandoned = [...this.#cells];
    for (const [cell, running] of abandoned) {
      running.stop.abort();
      this.#forget(cell);
      this.#ports.observer.gaveUp(cell, 'away');
    }
    await Promise.all(abandoned.map(([, running]) => running.done));
  }

  /** A server that is neither the one that was seen nor its successor has records that say nothing about its values. */
  async #compareIdentity(store: RegionStore): Promise<void> {
    const now = await store.identity();
    if (this.#identity !== undefined && isUnrelated(this.#identity, now))
      for (const { cell } of this.#cells.values()) cell.distrust();
    this.#identity = now;
  }

  async #replicaLoop(store: RegionStore, signal: AbortSignal): Promise<void> {
    const { replicas, clock } = this.#ports;
    while (!signal.aborted && replicas.length > 0) {
      const positions = [...this.#cells.values()].flatMap(({ cell }) => cell.position ?? []);
      const timeline = positions[0]?.sourceEpoch.timeline;
      if (timeline !== undefined) {
        const states = await Promise.all(replicas.map((replica) => replica.read().catch(() => undefined)));
        const mark = settledOnReplicas(states, timeline);
        if (mark !== undefined && mark.lsn > (this.#settledReplica ?? -1n)) {
          await store.settleReplica([...this.#cells.keys()], this.#token, mark);
          this.#settledReplica = mark.lsn;
        }
      }
      const isBehind = positions.some(
        ({ watermark }) => this.#settledReplica === null || watermark > this.#settledReplica,
      );
      await clock.sleep(isBehind ? REPLICA_BUSY_MS : REPLICA_IDLE_MS, signal);
    }
  }

  async #sweepLoop(store: RegionStore, signal: AbortSignal): Promise<void> {
    const { clock, observer } = this.#ports;
    while (!signal.aborted) {
      const owing = [...this.#cells.values()]
        .filter(({ cell }) => cell.sweepsMayBeOwed && cell.position !== undefined)
        .map(({ cell }) => cell);
      for (const cell of owing) cell.sweepsMayBeOwed = false;
      const fields = await store.owedSweeps(owing.map(({ cell }) => cell));
      const owed = fields.flatMap((map, i): OwedSweep[] =>
        [...map].map(([field, value]) => ({ cell: owing[i]?.cell ?? -1, field, value })),
      );
      this.#sweepsOwed = owed.length;
      if (owed.length > 0) {
        const parts = {
          store,
          clock,
          config: this.#config,
          cells: this.#reader?.partitions ?? 1,
          token: this.#token,
          onSwept: (keys: number) => observer.swept(keys),
        };
        await sweep(parts, owed, signal);
        // Raised again meanwhile, or cut short: looked at once more.
        for (const cell of owing) cell.sweepsMayBeOwed = true;
      }
      await clock.sleep(SWEEP_EVERY_MS, signal);
    }
  }

  async #report(reader: LogReader): Promise<void> {
    const { clock, observer } = this.#ports;
    const cells = [...this.#cells.values()].map(({ cell }) => cell);
    const positions = cells.flatMap((cell) => (cell.position === undefined ? [] : [{ cell, position: cell.position }]));
    const bounds = await reader.bounds();
    const lags = positions.map(({ cell, position }) =>
      Math.max(0, (bounds[cell.cell]?.next ?? 0) - 1 - position.offset),
    );
    const asOfMs = Math.min(...positions.map(({ cell }) => cell.asOfMs));
    observer.progress({
      owned: cells.length,
      stopped: this.#barred.size,
      watermark: positions
        .map(({ position }) => position.watermark)
        .reduce<Lsn | null>((low, w) => (low === null || w < low ? w : low), null),
      stalenessMs: positions.length === 0 || asOfMs <= 0 ? null : Math.max(0, clock.nowMs() - asOfMs),
      lagRecords: lags.reduce((sum, lag) => sum + lag, 0),
      sweepsOwed: this.#sweepsOwed,
      settledReplica: this.#settledReplica,
    });
  }
}

function logEnded(): never {
  throw new BusError('LOG_READER_ENDED', 'The reader of the log has ended.');
}
