import { readFileSync } from 'node:fs';
import type { BusConfig } from '../../src/config/bus-config.ts';
import { printFault } from '../../src/config/fault.ts';
import { type ConfigResult, parseConfig } from '../../src/config/parse-config.ts';

export const EXAMPLE_URL = new URL('../../examples/shop/afterwrite.yaml', import.meta.url);
export const EXAMPLE = readFileSync(EXAMPLE_URL, 'utf8');

/** What the example takes from the environment. */
export const ENVIRONMENT = {
  PG_URL: 'postgres://app:s3cret@db/shop',
  PG_REPLICA: 'postgres://app:s3cret@replica/shop',
  KAFKA_BROKER: 'kafka:9092',
  REDIS_EU: 'redis://:s3cret@eu',
  REDIS_US: 'redis://us',
  REDIS_AP: 'redis://ap',
};

/** What stands before the families in a file of which only they matter: four lines. */
export const HEAD = `bus: b
source: { url: postgres://db/x }
log: { kafka: { brokers: [k:1] } }
regions: { eu: { redis: redis://r } }
`;

export function parseExample(text = EXAMPLE): ConfigResult {
  return parseConfig([{ name: 'afterwrite.yaml', text }], ENVIRONMENT);
}

/** Parses a file that begins with `HEAD`. */
export function parseFamilies(text: string): ConfigResult {
  return parseConfig([{ name: 'f', text: HEAD + text }], {});
}

export function expectConfig(result: ConfigResult): BusConfig {
  if (result.kind === 'faults') throw new Error(result.faults.map(printFault).join('\n'));
  return result.config;
}

export function faultsOf(result: ConfigResult): string[] {
  return result.kind === 'faults' ? result.faults.map(printFault) : [];
}
