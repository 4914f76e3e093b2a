import { ask, connectRedis, type ServerConnection } from '../../drivers/redis/connection.ts';
import { readSetting } from '../../drivers/redis/server-facts.ts';
import { readRegionView } from '../../drivers/redis/region-view.ts';
import { isBusError } from '../../protocol/errors.ts';
import type { Keyspace } from '../../protocol/keyspace.ts';
import { Latencies } from './latencies.ts';
import type { Ledger, Missed } from './ledger.ts';

const TTL_SECONDS = 600;
const FILL_KEYS = 500;
const EVENTS = 'notify-keyspace-events';

/** A region as the demo's own reader sees it: values put in by plain SET, and Redis's word for each that goes. */
export class DemoRegion {
  readonly name: string;
  readonly latencies = new Latencies();
  evictions = 0;
  #eventsBefore = '';
  readonly #redis: ServerConnection;
  readonly #events: ServerConnection;
  readonly #keyspace: Keyspace;
  readonly #ledger: Ledger;

  private constructor(
    name: string,
    redis: ServerConnection,
    events: ServerConnection,
    keyspace: Keyspace,
    ledger: Ledger,
  ) {
    this.name = name;
    this.#redis = redis;
    this.#events = events;
    this.#keyspace = keyspace;
    this.#ledger = ledger;
  }

  static async open(name: string, url: string, keyspace: Keyspace, ledger: Ledger): Promise<DemoRegion> {
    const redis = await connectRedis(url, { name: `afterwrite-demo-${name}` });
    const events = await connectRedis(url, { name: `afterwrite-demo-${name}-events` });
    const region = new DemoRegion(name, redis, events, keyspace, ledger);
    await region.#watch();
    return region;
  }

  async fill(keys: readonly string[]): Promise<void> {
    for (let first = 0; first < keys.length; first += FILL_KEYS) {
      await Promise.all(keys.slice(first, first + FILL_KEYS).map((key) => this.#put(key, 0)));
    }
  }

  /** Whether every cell has begun, and nothing is left to be swept from before. */
  async isSteady(): Promise<boolean> {
    const cells = await readRegionView(this.#redis, this.#keyspace);
    if (cells.some((cell) => cell.epoch === undefined || cell.asOfMs === undefined)) return false;
    const sweeps = cells.map(({ cell }) => this.#keyspace.sweeps(cell));
    const owed = await Promise.all(sweeps.map((key) => ask(this.#redis, key, this.#redis.exists(key))));
    return owed.every((exists) => exists === 0);
  }

  /** Age of what the slowest cell has applied, in milliseconds; null before all have begun. */
  async stalenessMs(): Promise<number | null> {
    const cells = await readRegionView(this.#redis, this.#keyspace);
    const asOf = cells.map((cell) => cell.asOfMs);
    return asOf.every((ms) => ms !== undefined) ? Math.max(0, Date.now() - Math.min(...asOf)) : null;
  }

  /** Reads every key of a changed row, and says which hold what a change made old. */
  async prove(): Promise<Missed[]> {
    const missed: Missed[] = [];
    for (const key of this.#ledger.changedKeys()) {
      const value = await ask(this.#redis, key, this.#redis.get(this.#valueKey(key)));
      const stored = value === null ? null : (JSON.parse(value) as { change: number }).change;
      missed.push(...[this.#ledger.judge(this.name, key, stored)].filter((one) => one !== undefined));
    }
    return missed;
  }

  /** Leaves the server's setting as it was found: it may be one that was given. */
  async close(): Promise<void> {
    const restored = ask(this.#redis, this.name, this.#redis.config('SET', EVENTS, this.#eventsBefore));
    await restored.catch((error: unknown) => {
      if (!isBusError(error, 'REDIS_UNREACHABLE')) throw error;
    });
    this.#redis.disconnect();
    this.#events.disconnect();
  }

  /** Redis tells of each key that is unlinked ("Redis keyspace notifications": E for keyevent, g for generic commands). */
  async #watch(): Promise<void> {
    this.#eventsBefore = (await readSetting(this.#redis, this.name, EVENTS)) ?? '';
    await ask(this.#redis, this.name, this.#redis.config('SET', EVENTS, 'Eg'));
    this.#events.on('message', (_channel, redisKey: string) => this.#gone(redisKey, performance.now()));
    const database = this.#redis.options.db ?? 0;
    await ask(this.#events, this.name, this.#events.subscribe(`__keyevent@${database}__:del`));
  }

  #gone(redisKey: string, atMs: number): void {
    const key = this.#keyspace.cacheKey(redisKey);
    if (key === undefined) return;
    const latency = this.#ledger.evicted(this.name, key, atMs);
    if (latency !== undefined) {
      this.evictions += 1;
      this.latencies.add(latency);
    }
    // A failure here leaves the key out of its place, and shows at the next question to this Redis.
    this.#put(key, this.#ledger.valueFor(key)).then(
      () => this.#ledger.filled(this.name, key),
      () => undefined,
    );
  }

  async #put(key: string, change: number): Promise<void> {
    await ask(this.#redis, key, this.#redis.set(this.#valueKey(key), JSON.stringify({ change }), 'EX', TTL_SECONDS));
  }

  #valueKey(key: string): string {
    // The demo's Redis servers are no clusters, where the cell would be a part of the key.
    return this.#keyspace.valueKey(key, 0);
  }
}
