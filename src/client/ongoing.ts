import type { Flights } from './flights.ts';

/** What goes on in a cache, and a drain waits for: reads of Redis, loads, and what runs on behind an answer. */
export class Ongoing {
  readonly #flights: Flights;
  readonly #behind = new Set<Promise<unknown>>();
  /** Counted, since a promise for each would cost every hit one. */
  #reads = 0;
  #readsOver: PromiseWithResolvers<void> | undefined;

  constructor(flights: Flights) {
    this.#flights = flights;
  }

  beginRead(): void {
    this.#reads += 1;
  }

  /** Called before what the read's answer sets off: that begins in the same step. */
  endRead(): void {
    this.#reads -= 1;
    if (this.#reads === 0) this.#readsOver?.resolve();
  }

  /** Its failure is whoever's called for it. */
  goOn(work: Promise<unknown>): void {
    const done: Promise<unknown> = work.catch(() => undefined).finally(() => this.#behind.delete(done));
    this.#behind.add(done);
  }

  /** Resolves when nothing goes on any more. What ends may leave something behind it. */
  async ended(): Promise<void> {
    for (;;) {
      const work = [...this.#flights.all.map(({ result }) => result), ...this.#behind];
      if (this.#reads > 0) work.push(this.#allRead());
      if (work.length === 0) return;
      await Promise.allSettled(work);
    }
  }

  #allRead(): Promise<null> {
    this.#readsOver = Promise.withResolvers();
    return this.#readsOver.promise.then(() => null);
  }
}
