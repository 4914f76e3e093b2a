import type { BufferValue, Fold } from './entry.ts';

/** Keys of one partition in one window. Beyond, the window is sent before its time. */
export const WINDOW_KEYS_MAX = 50_000;
export const WINDOW_BYTES_MAX = 4 << 20;

/** A call that is answered by an error at once. Who does not wait for it may leave it alone: an unheard rejection would end his process. */
export function refusedCall(reason: unknown): Promise<never> {
  const { promise, reject } = Promise.withResolvers<never>();
  promise.catch(() => undefined);
  reject(reason);
  return promise;
}

/** What is gathered of one partition before it is sent: one value a key. All calls of a window have one promise. */
export class Window {
  readonly openedMs: number;
  /** The value of each key, in a cell of its own: a key that is known is looked up once and not written again. */
  readonly #cells = new Map<string, { value: BufferValue }>();
  /** Calls that are gathered. */
  calls = 0;
  readonly #fold: Fold;
  readonly #acknowledged = Promise.withResolvers<void>();
  #bytes = 0;

  constructor(fold: Fold, nowMs: number) {
    this.#fold = fold;
    this.openedMs = nowMs;
    // Who counts views does not wait for each; that it could not be taken is told by an event too.
    this.#acknowledged.promise.catch(() => undefined);
  }

  get acknowledged(): Promise<void> {
    return this.#acknowledged.promise;
  }

  /** Keys that are gathered. */
  get keys(): number {
    return this.#cells.size;
  }

  has(key: string): boolean {
    return this.#cells.has(key);
  }

  get isFull(): boolean {
    return this.#cells.size >= WINDOW_KEYS_MAX || this.#bytes >= WINDOW_BYTES_MAX;
  }

  add(key: string, value: BufferValue, bytes: number): void {
    this.calls += 1;
    // What is replaced is counted too: a window is sent a little early rather than grow past its limit.
    this.#bytes += bytes;
    const cell = this.#cells.get(key);
    if (cell === undefined) {
      this.#cells.set(key, { value });
      this.#bytes += key.length;
    } else cell.value = this.#fold(cell.value, value);
  }

  /** One value a key, in the order in which keys came. */
  *items(): IterableIterator<readonly [key: string, value: BufferValue]> {
    for (const [key, { value }] of this.#cells) yield [key, value];
  }

  settle(): void {
    this.#acknowledged.resolve();
  }

  fail(error: Error): void {
    this.#acknowledged.reject(error);
  }
}
