import { randomBytes } from 'node:crypto';
import { Agent } from '../agent/agent.ts';
import type { BusConfig, RegionConfig } from '../config/bus-config.ts';
import { keyspaceOf } from '../config/region-keyspace.ts';
import { ReplicaServer } from '../drivers/postgres/replica.ts';
import { connectRegionStore } from '../drivers/redis/region-store.ts';
import { systemClock } from '../runtime/clock.ts';
import { BusError } from '../protocol/errors.ts';
import { errorFields, type Logger } from '../runtime/logger.ts';
import type { Service } from '../runtime/service.ts';
import { untilAnswered } from '../runtime/until-answered.ts';
import type { LogReader, RecordHandler } from '../agent/from-log.ts';
import { observeAgent, readiness } from './agent-observer.ts';
import { observeGate } from './gate-observer.ts';
import { openHotKeyLog } from '../drivers/hot-key-log.ts';
import { openReader } from './log.ts';
import { CacheRefresher } from './refresher.ts';
import { runProcess } from './process.ts';

const BACKOFF = { firstMs: 200, maxMs: 5000 };

/** `afterwrite agent --region NAME`. */
export function runAgent(config: BusConfig, region: RegionConfig): Promise<number> {
  return runProcess(
    'agent',
    { bus: config.bus, region: region.name },
    async ({ log, metrics, health, pages }): Promise<Service> => {
      const gate = observeGate({ region: region.name, ramp: config.warmup.ramp, metrics, log, clock: systemClock });
      const observer = observeAgent(region.name, metrics, log, gate);
      pages.set('/gate', gate.page);
      health.register('agent', () => readiness(observer.current()));
      const replicas = region.replicas.map(
        (url) => new ReplicaServer({ url, applicationName: `afterwrite-agent-${config.bus}-${region.name}` }),
      );
      const keyspace = keyspaceOf(config, region);
      const refresher = new CacheRefresher({ config, region, name: `afterwrite-agent-${config.bus}-refresh`, log });
      const stopping = new AbortController();
      const agent = new Agent(
        {
          connectStore: () => connectRegionStore(region.redis, `afterwrite-agent-${config.bus}`, keyspace),
          openLog: (handler) => openPatiently(config, region.name, handler, log, stopping.signal),
          replicas,
          ...(refresher.families.length === 0 ? {} : { refresher }),
          hotKeys: {
            region: region.name,
            families: [...config.families.keys()],
            keysMax: config.warmup.hotKeys,
            openLog: () => openHotKeyLog(config),
          },
          clock: systemClock,
          observer,
          random: Math.random,
          token: () => randomBytes(8).toString('hex'),
        },
        config,
      );
      return {
        name: 'agent',
        run: async (stop) => {
          stop.addEventListener('abort', () => stopping.abort(), { once: true });
          await agent.run(stop);
          await Promise.all([refresher.close(), ...replicas.map((replica) => replica.close())]);
        },
        drain: async () => {
          stopping.abort();
          await agent.drain();
        },
      };
    },
  );
}

/** Opens the log, and waits for one that is away. */
async function openPatiently(
  config: BusConfig,
  region: string,
  handler: RecordHandler,
  log: Logger,
  until: AbortSignal,
): Promise<LogReader> {
  const away = (error: unknown): void => log.warn('the log cannot be read yet', errorFields(error));
  const parts = { clock: systemClock, random: Math.random, backoff: BACKOFF, away };
  const reader = await untilAnswered(() => openReader(config, region, handler), parts, until);
  if (reader === undefined) throw new BusError('LOG_READER_ENDED', 'Asked to end before the log could be opened.');
  return reader;
}
