import type { LeaseEnds } from '../../client/lease-ends.ts';
import type { RedisConnection } from './connection.ts';

/** Notices by one connection that does nothing else, made when the first reader waits. It subscribes again by itself when it reconnects. */
export class RedisLeaseEnds implements LeaseEnds {
  readonly #connect: () => RedisConnection;
  readonly #channel: string;
  readonly #watchers = new Map<string, Set<() => void>>();
  #redis: RedisConnection | undefined;
  #isClosed = false;

  constructor(connect: () => RedisConnection, channel: string) {
    this.#connect = connect;
    this.#channel = channel;
  }

  watch(key: string, notice: () => void): () => void {
    this.#subscribe();
    const watchers = this.#watchers.get(key) ?? new Set();
    this.#watchers.set(key, watchers.add(notice));
    return () => {
      watchers.delete(notice);
      if (watchers.size === 0 && this.#watchers.get(key) === watchers) this.#watchers.delete(key);
    };
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#redis?.disconnect();
  }

  #subscribe(): void {
    if (this.#redis !== undefined || this.#isClosed) return;
    const redis = (this.#redis = this.#connect());
    redis.on('message', (_channel: string, key: string) => {
      for (const notice of this.#watchers.get(key) ?? []) notice();
    });
    redis.on('ready', () => void redis.subscribe(this.#channel).catch(() => undefined));
    redis.connect().catch(() => undefined);
  }
}
