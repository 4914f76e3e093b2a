import type { BusConfig, Family, RegionConfig } from '../config/bus-config.ts';
import type { Cache } from '../index.ts';
import { parserOf } from '../protocol/key-template.ts';
import type { Logger } from '../runtime/logger.ts';
import { FamilyReader, type OpenedFamily } from '../warmup/family-reader.ts';
import { LOADS_FOR_NOBODY, openProgramCache, type ProgramCache } from './program-cache.ts';

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

export interface WarmCache extends ProgramCache {
  readonly reader: FamilyReader;
}

/** A cache of the client's library that loads for nobody, with connections and a statement timeout of its own. */
export async function openWarmCache({ config, region, name, log }: WarmCacheParts): Promise<WarmCache> {
  const { concurrencyMax, batchMax, statementTimeoutMs } = config.warmup;
  const pool = { applicationName: name, max: concurrencyMax, statementTimeoutMs };
  const { cache, close } = await openProgramCache(config, region, pool, {
    ...LOADS_FOR_NOBODY,
    commandTimeoutMs: COMMAND_TIMEOUT_MS,
    loadTimeoutMs: statementTimeoutMs + LEASE_MARGIN_MS,
    loadsMax: concurrencyMax,
    loadQueueMax: concurrencyMax * batchMax,
    onEvent: ({ code, message }) => log.warn('warming', { event: code, detail: message }),
  });
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
