import type { BusConfig } from '../config/bus-config.ts';
import { printFault } from '../config/fault.ts';
import { loadConfig } from '../config/load-config.ts';
import { parseConfig } from '../config/parse-config.ts';
import { BusError } from '../protocol/errors.ts';

/** The bus's file: where it is, or several that are joined; or its text; or what has been read of it already. */
export type ConfigSource = string | readonly string[] | { readonly text: string } | { readonly loaded: BusConfig };

/** Throws `CONFIG_INVALID` with every fault, a line each, or `CACHE_OPTION_INVALID` where the file has no such region. */
export async function readBusConfig(source: ConfigSource, region: string, env: NodeJS.ProcessEnv): Promise<BusConfig> {
  const config = await read(source, env);
  if (!config.regions.has(region))
    throw new BusError(
      'CACHE_OPTION_INVALID',
      `The file has no region "${region}"; its regions: ${[...config.regions.keys()].join(', ')}.`,
    );
  return config;
}

async function read(source: ConfigSource, env: NodeJS.ProcessEnv): Promise<BusConfig> {
  if (typeof source === 'string') return loadConfig([source], env);
  if ('loaded' in source) return source.loaded;
  if (!('text' in source)) return loadConfig(source, env);
  const result = parseConfig([{ name: 'config', text: source.text }], env);
  if (result.kind === 'config') return result.config;
  throw new BusError('CONFIG_INVALID', result.faults.map(printFault).join('\n'));
}
