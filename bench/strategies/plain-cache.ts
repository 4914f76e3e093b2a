import type { VirtualClock } from './virtual-clock.ts';

/** What a service writes by itself, to compare: GET, load, SET with a TTL. `isShared`: callers in one process share a load. */
export class PlainCache {
  readonly #clock: VirtualClock;
  readonly #redis: Map<string, { readonly value: unknown; readonly endsAtMs: number }>;
  readonly #ttlMs: number;
  readonly #isShared: boolean;
  readonly #load: (key: string) => Promise<unknown>;
  readonly #loading = new Map<string, Promise<unknown>>();

  constructor(
    parts: {
      readonly clock: VirtualClock;
      readonly redis: Map<string, { readonly value: unknown; readonly endsAtMs: number }>;
      readonly ttlMs: number;
      readonly isShared: boolean;
    },
    load: (key: string) => Promise<unknown>,
  ) {
    this.#clock = parts.clock;
    this.#redis = parts.redis;
    this.#ttlMs = parts.ttlMs;
    this.#isShared = parts.isShared;
    this.#load = load;
  }

  async get(key: string): Promise<unknown> {
    const found = this.#redis.get(key);
    if (found !== undefined && found.endsAtMs > this.#clock.nowMs()) return found.value;
    const underWay = this.#isShared ? this.#loading.get(key) : undefined;
    if (underWay !== undefined) return underWay;
    const loading = this.#loadAndSet(key);
    if (this.#isShared) this.#loading.set(key, loading);
    return loading.finally(() => this.#loading.delete(key));
  }

  async #loadAndSet(key: string): Promise<unknown> {
    const value = await this.#load(key);
    this.#redis.set(key, { value, endsAtMs: this.#clock.nowMs() + this.#ttlMs });
    return value;
  }
}
