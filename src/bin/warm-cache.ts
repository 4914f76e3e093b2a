import type { BusConfig, Family, RegionConfig } from '../config/bus-config.ts';
import { openPool } from '../drivers/postgres/pool.ts';
import { unconnectedRegion } from '../drivers/redis/cluster-connection.ts';
import { type Cache, createCache } from '../index.ts';
import { parserOf } from '../protocol/key-template.ts';
import type { Logger } from '../runtime/logger.ts';
import { FamilyReader, type OpenedFamily } from '../warmup/family-reader.ts';

/** Nobody waits for a key, and a batch has one for each of its keys under way. */
const COMMAND_TIMEOUT_MS = 5000;
/** A statement must have ended before its leases do. */
const LEASE_MARGIN_MS = 5000;

export interface WarmCacheParts {
  readonly config: BusConfig;
  readonly region: RegionConfig;
  readonly name: string;
  readonly log: Logger;
}

export interface WarmCache {
  readonly reader: FamilyReader;
  readonly cache: Cache;
  close(): Promise<void>;
}

/** A cache of the client's library that loads for nobody, with connections and a statement timeout of its own. */
export async function openWarmCache({ config, region, name, log }: WarmCacheParts): Promise<WarmCache> {
  const { concurrencyMax, batchMax, statementTimeoutMs } = config.warmup;
  const options = { applicationName: name, max: concurrencyMax, statementTimeoutMs };
  const [replicaUrl] = region.replicas;
  const pools = {
    primary: openPool(config.source.url, options),
    ...(replicaUrl === undefined ? {} : { replica: openPool(replicaUrl, options) }),
  };
  const redis = unconnectedRegion(region.redis);
  let cache: Cache | undefined;
  const close = async (): Promise<void> => {
    await cache?.drain();
    redis.disconnect();
    await Promise.all([pools.primary.end(), pools.replica?.end()]);
  };
  try {
    cache = await createCache({
      config: { loaded: config },
      region: region.name,
      redis,
      postgres: pools,
      commandTimeoutMs: COMMAND_TIMEOUT_MS,
      loadTimeoutMs: statementTimeoutMs + LEASE_MARGIN_MS,
      loadsMax: concurrencyMax,
      loadQueueMax: concurrencyMax * batchMax,
      failureMemoryMs: 0,
      localEntriesMax: 0,
      buffers: 'off',
      // It is no reader: what it asks for says nothing of what is read.
      hotKeys: false,
      onEvent: ({ code, message }) => log.warn('warming', { event: code, detail: message }),
    });
  } catch (error) {
    await close();
    throw error;
  }
  const opened = new Map<string, OpenedFamily>();
  const families = (family: string): OpenedFamily => {
    let one = opened.get(family);
    if (one === undefined) opened.set(family, (one = open(cache, config.families.get(family), family)));
    return one;
  };
  return { reader: new FamilyReader(families), cache, close };
}

function open(cache: Cache, family: Family | undefined, name: string): OpenedFamily {
  const paramsOf = family === undefined ? () => undefined : parserOf(family.key);
  return { family: cache.family(name), paramsOf };
}
