import { type BusError, isBusError } from '../protocol/errors.ts';
import { type GateStore, HALF_BEGAN_ANEW, type StoredGate } from '../protocol/region-gate.ts';
import { judgeRedis, type RedisChange, type Servers } from './redis-life.ts';

/** What is told of a region's gate. */
export interface GateObserver {
  /** At each look, as it stands. */
  gate(gate: StoredGate): void;
  redisChanged(change: RedisChange): void;
  /** This agent has made the gate COLD, under a new epoch. */
  gateCold(epoch: string, reason: string): void;
  /** The gate cannot be kept: an operator's matter, while the cells go on. Told once a spell of connection. */
  gateUnfit(error: BusError): void;
}

export interface GateWatchParts {
  readonly gate: GateStore;
  readonly observer: GateObserver;
  /** A new epoch's name, never used twice. */
  readonly epochName: () => string;
  readonly regionCells: number;
  /** As they were found when the connection was made. */
  readonly servers: Servers;
}

/**
 * Looks after the gate in one spell of connection.
 *
 *     read the gate ──▶ beat the cells ──▶ note the epochs of those that stood
 *
 * In this order: a cell that stood after the gate was read, and whose epoch is noted while that gate still is, stood under it. A Redis that is emptied
 * between takes the gate along, and what was seen is not noted under the next one.
 */
export class GateWatch {
  readonly #parts: GateWatchParts;
  #servers: Servers;
  #isUnfit = false;
  #epoch: string | undefined;
  /** Under the gate's epoch. */
  #noted = new Map<number, string>();

  constructor(parts: GateWatchParts) {
    this.#parts = parts;
    this.#servers = parts.servers;
  }

  /** The gate's epoch, once it was seen. */
  get epoch(): string | undefined {
    return this.#epoch;
  }

  /** Reads the gate, and makes it where there is none. Returns what has happened to Redis, to be told once it is known to take writes. */
  async look(): Promise<RedisChange | undefined> {
    return this.#unlessUnfit(async () => {
      const { gate, epochName } = this.#parts;
      const read = await gate.read();
      const change = judgeRedis(this.#servers, read !== null);
      this.#servers = 'same';
      if (read !== null) return this.#saw(read, change);
      const reason = 'no gate was there';
      const { gate: made, isMarked } = await gate.markCold(epochName(), reason);
      if (isMarked) this.#parts.observer.gateCold(made.epoch, reason);
      // Another agent was first: he tells of it.
      return this.#saw(made, isMarked ? change : undefined);
    });
  }

  /** Notes the epochs of cells that were seen to stand since the look. */
  async note(standing: ReadonlyMap<number, string>): Promise<void> {
    const epoch = this.#epoch;
    const news = new Map([...standing].filter(([cell, name]) => this.#noted.get(cell) !== name));
    if (epoch === undefined || news.size === 0) return;
    await this.#unlessUnfit(async () => {
      const { gate, epochName, regionCells, observer } = this.#parts;
      const next = epochName();
      const answer = await gate.noteCells({ epoch, next, cells: news, regionCells });
      if (answer.kind === 'moved') return;
      if (answer.kind === 'cold') {
        observer.gateCold(next, HALF_BEGAN_ANEW);
        this.#epoch = next;
        this.#noted = new Map();
      }
      for (const [cell, name] of news) this.#noted.set(cell, name);
    });
  }

  #saw<T>(gate: StoredGate, change: T): T {
    if (gate.epoch !== this.#epoch) this.#noted = new Map();
    this.#epoch = gate.epoch;
    this.#parts.observer.gate(gate);
    return change;
  }

  /** A key that another program has taken, or that we may not touch, keeps no cell from its evictions. A Redis that is away is everybody's matter. */
  async #unlessUnfit<T>(body: () => Promise<T>): Promise<T | undefined> {
    try {
      return await body();
    } catch (error) {
      if (!isBusError(error) || error.code === 'REDIS_UNREACHABLE') throw error;
      if (!this.#isUnfit) this.#parts.observer.gateUnfit(error);
      this.#isUnfit = true;
      return undefined;
    }
  }
}
