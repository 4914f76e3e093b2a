import type { BatchFacts } from './batch-plan.ts';
import { Cell, type CellEnd } from './cell.ts';
import type { Distrust } from './distrust.ts';
import type { LogReader } from './from-log.ts';
import type { AgentPorts } from './agent-ports.ts';
import { LOOK_EVERY_MS } from './ownership.ts';
import { type BusError, isBusError } from '../protocol/errors.ts';
import type { RegionStore, StoredCell } from './region-store.ts';

/** Each of the others has looked once, and found that its share has grown: from then on it looks often. */
export const HANDOVER_NOTICE_MS = LOOK_EVERY_MS * 1.2;

interface Running {
  readonly cell: Cell;
  readonly stop: AbortController;
  readonly done: Promise<void>;
}

export interface HoldingParts {
  readonly ports: AgentPorts;
  readonly store: RegionStore;
  readonly reader: LogReader;
  readonly facts: BatchFacts;
  readonly token: string;
  /** Cells that this agent cannot work on; kept over spells of connection. */
  readonly barred: Set<number>;
  /** Cells of which a key is not ours, with the owner that was seen then; kept over spells, and tried again at each look. */
  readonly unfit: Map<number, string>;
  /** Kept over spells of connection. */
  readonly distrust: Distrust;
  /** A cell's failure ends the spell. */
  readonly fail: (error: unknown) => void;
}

/** The cells that an agent holds in one spell of connection: it starts them, gives them up, and loses them. */
export class Holdings {
  readonly #parts: HoldingParts;
  readonly #running = new Map<number, Running>();
  #isOver = false;

  constructor(parts: HoldingParts) {
    this.#parts = parts;
  }

  get numbers(): number[] {
    return [...this.#running.keys()];
  }

  get cells(): Cell[] {
    return [...this.#running.values()].map(({ cell }) => cell);
  }

  cell(number: number): Cell | undefined {
    return this.#running.get(number)?.cell;
  }

  /** Takes a cell whose owner is still what was seen, and sets to work on it. */
  async take(number: number, seen: string): Promise<void> {
    const { store, token, unfit } = this.#parts;
    if (this.#isOver) return;
    try {
      const answer = await store.take(number, seen, token);
      // An answer may come when the spell is over; then nobody would ever stop the cell.
      if (answer.kind !== 'taken' || this.#isOver) return;
      unfit.delete(number);
      this.#start(number, answer.stored);
    } catch (error) {
      if (!isBusError(error, 'REDIS_WRONG_TYPE')) throw error;
      this.standStill(number, error, seen);
    }
  }

  /** Leaves a cell until its keys are ours again; the others go on. */
  standStill(number: number, error: BusError, seen: string): void {
    const { unfit, ports } = this.#parts;
    const running = this.#running.get(number);
    running?.stop.abort();
    if (running !== undefined) this.#forget(number);
    if (!unfit.has(number)) ports.observer.stopped(number, error);
    unfit.set(number, seen);
  }

  /** Another agent works on a cell that stood still here: it is no longer ours to tell of. */
  noteOwner(number: number, owner: string): void {
    const { unfit, token } = this.#parts;
    if (owner !== '' && owner !== unfit.get(number) && !owner.startsWith(`${token}:`)) unfit.delete(number);
  }

  /** Shows that this agent lives, in every cell that it holds. Returns the epochs of those that stand. */
  async beat(): Promise<ReadonlyMap<number, string>> {
    const standing = new Map<number, string>();
    const numbers = this.numbers;
    const answers = await this.#parts.store.beat(numbers, this.#parts.token);
    answers.forEach((answer, i) => {
      const number = numbers[i] ?? -1;
      if (answer.kind === 'kept') {
        const cell = this.cell(number);
        cell?.beaten(answer.offset);
        const epoch = cell?.position?.epoch;
        if (answer.offset !== null && epoch !== undefined) standing.set(number, epoch);
      } else if (answer.kind === 'unfit') this.standStill(number, answer.error, '');
      else this.#lose(number);
    });
    return standing;
  }

  /** Lets a cell finish what is under way and gives it back. */
  async giveUp(number: number): Promise<void> {
    const running = this.#running.get(number);
    if (running === undefined) return;
    running.stop.abort();
    await running.done;
    this.#forget(number);
    await this.#parts.store.release(number, this.#parts.token);
    this.#parts.ports.observer.gaveUp(number, 'released');
  }

  /**
   * Gives every cell to the others.
   *
   *     out of the living ──▶ their share grows, and they look often ──▶ cell after cell: finished, given back, taken
   *
   * Until they have had the time to notice, every cell is worked on as before: one that lay free meanwhile would be late by as much.
   */
  async handOver(signal: AbortSignal): Promise<void> {
    const { store, token, ports } = this.#parts;
    const others = await store.dismiss(token);
    if (others > 0 && this.#running.size > 0) await ports.clock.sleep(HANDOVER_NOTICE_MS, signal);
    for (const number of this.numbers) await this.giveUp(number);
  }

  /** Without Redis nothing that is in memory counts. */
  async abandonAll(): Promise<void> {
    this.#isOver = true;
    const abandoned = [...this.#running];
    for (const [number, running] of abandoned) {
      running.stop.abort();
      this.#forget(number);
      this.#parts.ports.observer.gaveUp(number, 'away');
    }
    await Promise.all(abandoned.map(([, running]) => running.done));
  }

  #start(number: number, stored: StoredCell): void {
    const { ports, store, reader, facts, token, distrust, fail } = this.#parts;
    const { clock, observer } = ports;
    const cell = new Cell(number, {
      store,
      reader,
      clock,
      observer,
      facts,
      token,
      epochName: () => distrust.name(ports.token()),
      begun: () => distrust.begun(number),
    });
    const stop = new AbortController();
    const done = cell
      .run(stored, distrust.isDistrusted(number, stored?.epoch ?? null), stop.signal)
      .then((end) => this.#ended(number, end))
      .catch((error: unknown) => {
        // Whoever stopped a cell needs nothing more of it.
        if (stop.signal.aborted) return;
        if (isBusError(error, 'REDIS_WRONG_TYPE')) this.standStill(number, error, '');
        else fail(error);
      });
    this.#running.set(number, { cell, stop, done });
    observer.took(number);
  }

  async #ended(number: number, end: CellEnd): Promise<void> {
    if (end === 'another owner') this.#lose(number);
    if (end !== 'incomprehensible') return;
    // Another agent may know the version; this one does not ask for the cell again.
    this.#parts.barred.add(number);
    this.#forget(number);
    await this.#parts.store.release(number, this.#parts.token);
  }

  #lose(number: number): void {
    const running = this.#running.get(number);
    if (running === undefined) return;
    running.stop.abort();
    this.#forget(number);
    this.#parts.ports.observer.gaveUp(number, 'another owner');
  }

  #forget(number: number): void {
    this.#parts.reader.release(number);
    this.#running.delete(number);
  }
}
