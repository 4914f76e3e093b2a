import type { Clock } from '../runtime/clock.ts';

/** The processes that use a region's cache, as Redis counts them. Throws as `CacheStore` does. */
export interface Fleet {
  /** Enters or renews this process. Returns how many live, itself included. */
  enlist(process: string): Promise<number>;
  dismiss(process: string): Promise<void>;
}

/** How often a process renews itself. It counts as gone after three times this. */
export const FLEET_BEAT_MS = 5000;

/** Knows how many processes share the database, also for a while when Redis cannot be asked: by the number last seen. */
export class FleetSize {
  readonly #fleet: Fleet;
  readonly #process: string;
  #known = 1;

  constructor(fleet: Fleet, process: string) {
    this.#fleet = fleet;
    this.#process = process;
  }

  get known(): number {
    return this.#known;
  }

  /** Renews until it is told to stop, then leaves. */
  async run(clock: Clock, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#fleet.enlist(this.#process).then(
        (count) => (this.#known = Math.max(1, count)),
        () => undefined,
      );
      await clock.sleep(FLEET_BEAT_MS, signal);
    }
    await this.#fleet.dismiss(this.#process).catch(() => undefined);
  }
}
