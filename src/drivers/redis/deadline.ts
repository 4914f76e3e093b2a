import { BusError } from '../../protocol/errors.ts';

interface Awaited {
  readonly atMs: number;
  readonly fail: (error: unknown) => void;
  isOver: boolean;
}

/**
 * One time limit for every command of a connection. All have the same, so the first that was sent is the first to be late, and one timer does.
 *
 * A process that was busy for longer than the limit finds the timer due before it has read what came meanwhile. So a command is late only when
 * the sockets have been read once more.
 */
export class Deadline {
  readonly #limitMs: number;
  #queue: Awaited[] = [];
  #first = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** `explain` turns a failure of the answer's own into a coded one. */
  watch<T>(answer: Promise<T>, explain: (error: unknown) => BusError): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const awaited: Awaited = { atMs: performance.now() + this.#limitMs, fail: reject, isOver: false };
      this.#queue.push(awaited);
      this.#arm(this.#limitMs);
      const first =
        <V>(settle: (value: V) => void) =>
        (value: V): void => {
          this.#over(awaited);
          settle(value);
        };
      answer.then(
        first(resolve),
        first((error) => reject(explain(error))),
      );
    });
  }

  #arm(ms: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => setImmediate(() => this.#look()), Math.max(1, ms));
    this.#timer.unref();
  }

  #look(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    let first = this.#queue[this.#first];
    while (first !== undefined && first.atMs <= nowMs) {
      first.fail(new BusError('REDIS_UNREACHABLE', `Redis did not answer within ${this.#limitMs} ms.`));
      this.#over(first);
      first = this.#queue[this.#first];
    }
    if (first !== undefined) this.#arm(first.atMs - nowMs);
  }

  #over(awaited: Awaited): void {
    awaited.isOver = true;
    while (this.#queue[this.#first]?.isOver === true) this.#first += 1;
    if (this.#first === this.#queue.length) {
      this.#queue = [];
      this.#first = 0;
    } else if (this.#first > 1024) {
      this.#queue = this.#queue.slice(this.#first);
      this.#first = 0;
    }
  }
}
