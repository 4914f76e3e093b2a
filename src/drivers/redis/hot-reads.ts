import type { HotReadsSource } from '../../agent/region-store.ts';
import type { HotReadsSink } from '../../client/hot-keys.ts';
import { type Ask, ask, type RedisConnection } from './connection.ts';
import { type RunScript, scriptsOf } from './scripts.ts';

/** Reports that the stream holds at most, where no agent takes them: with the longest (`REPORT_BYTES_MAX`) 25 MiB. */
const REPORTS_MAX = 200;
/** After the last report the stream goes by itself after so long; and since it has a time to live, a `volatile-*` policy may evict it before values. */
const REPORTS_TTL_MS = 300_000;

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
