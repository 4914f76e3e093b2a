import type { HotReadsSource } from '../../agent/region-store.ts';
import type { HotReadsSink } from '../../client/hot-keys.ts';
import { type Ask, ask, type RedisConnection } from './connection.ts';
import { type RunScript, scriptsOf } from './scripts.ts';

/** Reports that the stream holds at most, where no agent takes them: a few megabytes. */
const REPORTS_MAX = 200;
const FIELD = 'r';

/** The reports of what processes read: a bounded stream in the region's Redis. */
export class RedisHotReads implements HotReadsSink, HotReadsSource {
  readonly #redis: RedisConnection;
  readonly #key: string;
  readonly #ask: Ask;
  readonly #run: RunScript;

  constructor(redis: RedisConnection, key: string, asks: Ask = ask) {
    this.#redis = redis;
    this.#key = key;
    this.#ask = asks;
    this.#run = scriptsOf(redis, asks);
  }

  async append(report: string): Promise<void> {
    const key = this.#key;
    await this.#ask(this.#redis, key, this.#redis.xadd(key, 'MAXLEN', '~', REPORTS_MAX, '*', FIELD, report));
  }

  async take(count: number): Promise<readonly string[]> {
    const reports = (await this.#run('hot-take', [this.#key], [count])) as (string | null)[];
    return reports.map((report) => report ?? '');
  }
}
