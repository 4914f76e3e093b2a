import { readFile } from 'node:fs/promises';
import { BusError } from '../protocol/errors.ts';
import type { BusConfig } from './bus-config.ts';
import { type Fault, printFault } from './fault.ts';
import { type ConfigResult, parseConfig } from './parse-config.ts';

/** Reads the files from the disk and parses them. Throws `CONFIG_INVALID` if a file cannot be read. */
export async function readConfig(paths: readonly string[], env: NodeJS.ProcessEnv): Promise<ConfigResult> {
  const files = await Promise.all(
    paths.map(async (name) => {
      const text = await readFile(name, 'utf8').catch((cause: unknown) => {
        throw new BusError('CONFIG_INVALID', `The file ${name} cannot be read: ${(cause as Error).message}`, {
          at: name,
          cause,
        });
      });
      return { name, text };
    }),
  );
  return parseConfig(files, env);
}

/** The config, or `CONFIG_INVALID` with every fault, a line each. Warnings go to `warn`. */
export async function loadConfig(
  paths: readonly string[],
  env: NodeJS.ProcessEnv,
  warn: (fault: Fault) => void = () => undefined,
): Promise<BusConfig> {
  const result = await readConfig(paths, env);
  for (const warning of result.warnings) warn(warning);
  if (result.kind === 'config') return result.config;
  throw new BusError('CONFIG_INVALID', result.faults.map(printFault).join('\n'));
}
