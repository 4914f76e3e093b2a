import type { BufferValue, Fold } from './entry.ts';

/** Keys of one partition in one window. Beyond, the window is sent before its time. */
export const WINDOW_KEYS_MAX = 50_000;
export const WINDOW_BYTES_MAX = 4 << 20;

/** What is gathered of one partition before it is sent: one value a key. All calls of a window have one promise. */
export class Window {
  readonly openedMs: number;
  readonly items = new Map<string, BufferValue>();
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

  get isFull(): boolean {
    return this.items.size >= WINDOW_KEYS_MAX || this.#bytes >= WINDOW_BYTES_MAX;
  }

  add(key: string, value: BufferValue, bytes: number): void {
    const older = this.items.get(key);
    this.items.set(key, older === undefined ? value : this.#fold(older, value));
    this.calls += 1;
    this.#bytes += older === undefined ? key.length + bytes : bytes;
  }

  settle(): void {
    this.#acknowledged.resolve();
  }

  fail(error: Error): void {
    this.#acknowledged.reject(error);
  }
}
