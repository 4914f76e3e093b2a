import type { RefreshAnswer, Refresher } from '../agent/refresh.ts';
import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import type { Cache } from '../index.ts';
import { BusError } from '../protocol/errors.ts';
import { parserOf } from '../protocol/key-template.ts';
import type { Logger } from '../runtime/logger.ts';
import { LOADS_FOR_NOBODY, openProgramCache, type ProgramCache } from './program-cache.ts';

/** A refresh waits for its change to become visible, where a reader would go on without storing. */
const SETTLE_WAIT_MS = 2000;
/** Nobody waits for a refresh. */
const COMMAND_TIMEOUT_MS = 1000;
const POOL_MAX = 4;
/** For a load, and for what is left of it in the database. */
const LOAD_TIMEOUT_MS = 10_000;
/** What a load that a drain ends was for stays owed, and the process has other things to end. */
const DRAIN_WAIT_MS = 1000;

export interface RefresherParts {
  readonly config: BusConfig;
  readonly region: RegionConfig;
  readonly name: string;
  readonly log: Logger;
  /** Opens the application's own families. */
  readonly open?: (cache: Cache) => unknown;
}

/** Refreshes by the client library, as a reader would: one lease, one proof, one store. It is opened with the first key. */
export class CacheRefresher implements Refresher {
  readonly #parts: RefresherParts;
  readonly #families: ReadonlyMap<string, ReturnType<typeof parserOf>>;
  #opened: Promise<ProgramCache> | undefined;

  constructor(parts: RefresherParts) {
    this.#parts = parts;
    const isOfFile = parts.open === undefined;
    this.#families = new Map(
      [...parts.config.families.values()]
        .filter(
          ({ whenChanged, source, isLoadedElsewhere }) =>
            whenChanged === 'refresh' && (isOfFile ? source !== undefined : isLoadedElsewhere),
        )
        .map(({ name, key }) => [name, parserOf(key)]),
    );
  }

  get families(): readonly string[] {
    return [...this.#families.keys()];
  }

  loads(family: string): boolean {
    return this.#families.has(family);
  }

  async refresh(family: string, key: string): Promise<RefreshAnswer> {
    const params = this.#families.get(family)?.(key);
    // By this process's file no reader could print it.
    if (params === undefined) return 'another file';
    const { cache } = await this.open();
    const opened = cache.family(family);
    const { readThrough } = await opened.inspect(params);
    // What it loaded might not be stored, however often.
    if (readThrough === 'rules' || readThrough === 'no rules yet') return 'another file';
    const value = await opened.get(params);
    if ((await opened.peek(params)) !== undefined) return 'stored';
    return value === null && this.#parts.config.families.get(family)?.absentMs === 0 ? 'nothing' : 'not yet';
  }

  /** Rejects as `createCache` does; the next call tries again. */
  open(): Promise<{ readonly cache: Cache }> {
    this.#opened ??= this.#open().catch((error: unknown) => {
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined);
    await opened?.close();
  }

  async #open(): Promise<ProgramCache> {
    const { config, region, name, log, open } = this.#parts;
    const pool = { applicationName: name, max: POOL_MAX, statementTimeoutMs: LOAD_TIMEOUT_MS };
    const unproven = new Set<string>();
    const opened = await openProgramCache(config, region, pool, {
      // It has a back-off of its own, and each of its tries is to be one.
      ...LOADS_FOR_NOBODY,
      settleWaitMs: SETTLE_WAIT_MS,
      loadTimeoutMs: LOAD_TIMEOUT_MS,
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
      drainWaitMs: DRAIN_WAIT_MS,
      onEvent: ({ code, message, family }) => {
        if (code === 'unproven' && family !== undefined) unproven.add(family);
        log.warn('refreshing', { event: code, detail: message });
      },
    });
    try {
      await openFamilies(opened.cache, open);
      for (const family of this.#families.keys()) {
        opened.cache.family(family);
        if (unproven.has(family))
          throw new BusError(
            'SETTING_INVALID',
            `Family ${family} is opened without \`reads: "primary"\`: nothing that its loader gives may be stored.`,
          );
      }
      return opened;
    } catch (error) {
      await opened.close();
      throw error;
    }
  }
}

/** What the application's file throws of its own says nothing of us. */
async function openFamilies(cache: Cache, open: RefresherParts['open']): Promise<void> {
  try {
    await open?.(cache);
  } catch (error) {
    if (error instanceof BusError) throw error;
    throw new BusError('SETTING_INVALID', 'The file of loaders failed.', { cause: error });
  }
}
