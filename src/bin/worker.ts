import { pathToFileURL } from 'node:url';
import { refreshEverywhere } from '../agent/refresh.ts';
import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import { keyspaceOf } from '../config/region-keyspace.ts';
import { connectRegionStore } from '../drivers/redis/region-store.ts';
import type { Cache } from '../index.ts';
import { BusError } from '../protocol/errors.ts';
import { untilAnswered } from '../runtime/until-answered.ts';
import { systemClock } from '../runtime/clock.ts';
import { notReady, READY } from '../runtime/health.ts';
import { errorFields } from '../runtime/logger.ts';
import type { Service } from '../runtime/service.ts';
import { runProcess } from './process.ts';
import { observeRefreshes } from './refresh-observer.ts';
import { CacheRefresher } from './refresher.ts';

const BACKOFF = { firstMs: 200, maxMs: 5000 };

/** `afterwrite worker FILE --region NAME`: the application's own loaders, for what is to be loaded anew. Any number share a region. */
export async function runWorker(config: BusConfig, region: RegionConfig, file: string): Promise<number> {
  const open = await loadersOf(file);
  return runProcess(
    'worker',
    { bus: config.bus, region: region.name },
    async ({ log, metrics, health }): Promise<Service> => {
      const name = `afterwrite-worker-${config.bus}`;
      const refresher = new CacheRefresher({ config, region, name, log, open });
      if (refresher.families.length === 0)
        throw new BusError('SETTING_INVALID', 'No family of the file has `load: true` and `when-changed: refresh`.');
      let isConnected = false;
      health.register('worker', () => (isConnected ? READY : notReady('the region’s Redis is not connected')));
      // What is wrong with the loaders is told now, and not with the first change.
      await refresher.open();
      const stopping = new AbortController();
      const observer = observeRefreshes(region.name, metrics, log);
      const life = async (signal: AbortSignal): Promise<void> => {
        const store = await connectRegionStore(region.redis, name, keyspaceOf(config, region));
        try {
          isConnected = true;
          const parts = { store, refresher, clock: systemClock, random: Math.random, observer };
          await refreshEverywhere(parts, config.log.partitions, signal);
        } finally {
          isConnected = false;
          await store.close();
        }
      };
      return {
        name: 'worker',
        run: async (stop) => {
          const signal = AbortSignal.any([stop, stopping.signal]);
          const away = (error: unknown): void =>
            log.warn('the region’s Redis is away; waiting for it', errorFields(error));
          const parts = { clock: systemClock, random: Math.random, backoff: BACKOFF, away };
          await untilAnswered(() => life(signal), parts, signal);
          await refresher.close();
        },
        drain: async () => stopping.abort(),
      };
    },
  );
}

/** The file's default export: a function that opens the families, as the application does. */
async function loadersOf(file: string): Promise<(cache: Cache) => unknown> {
  let module: { readonly default?: unknown };
  try {
    module = (await import(pathToFileURL(file).href)) as { readonly default?: unknown };
  } catch (cause) {
    throw new BusError('SETTING_INVALID', `The file of loaders cannot be loaded: ${(cause as Error).message}`, {
      cause,
      at: file,
    });
  }
  if (typeof module.default === 'function') return module.default as (cache: Cache) => unknown;
  throw new BusError(
    'SETTING_INVALID',
    'A default export is expected that opens the families: export default (cache) => { cache.family(name, { load }) }.',
    { at: file },
  );
}
