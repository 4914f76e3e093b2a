import type { HotReadsSource } from '../../agent/region-store.ts';
import type { HotReadsSink } from '../../client/hot-keys.ts';
import { REPORTS_MAX, REPORTS_TTL_MS } from '../../protocol/hot-key.ts';
import { type Ask, ask, type RedisConnection } from './connection.ts';
import { type RunScript, scriptsOf } from './scripts.ts';

/** The reports of what processes read: a stream in the region's Redis that is bounded in reports and bytes, and does not stay. */
export class RedisHotReads implements HotReadsSink, HotReadsSource {
  readonly #key: string;
  readonly #run: RunScript;

  constructor(redis: RedisConnection, key: string, asks: Ask = ask) {
    this.#key = key;
    this.#run = scriptsOf(redis, asks);
  }

  async append(reports: readonly string[]): Promise<void> {
    await this.#run('hot-append', [this.#key], [REPORTS_MAX, REPORTS_TTL_MS, ...reports]);
  }

  async take(count: number): Promise<readonly string[]> {
    const reports = (await this.#run('hot-take', [this.#key], [count])) as (string | null)[];
    return reports.map((report) => report ?? '');
  }
}
