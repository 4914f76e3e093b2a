import { isUtf8 } from 'node:buffer';
import { readFile } from 'node:fs/promises';
import { BusError } from '../protocol/errors.ts';
import type { BusConfig } from './bus-config.ts';
import { type Fault, printFault } from './fault.ts';
import { type ConfigResult, parseConfig } from './parse-config.ts';

/** Thousands of families take less. */
const BYTES_MAX = 4 << 20;

/** Reads the files from the disk and parses them. Throws `CONFIG_INVALID` if a file cannot be read. */
export async function readConfig(paths: readonly string[], env: NodeJS.ProcessEnv): Promise<ConfigResult> {
  const files = await Promise.all(paths.map(async (name) => ({ name, text: await readText(name) })));
  return parseConfig(files, env);
}

async function readText(name: string): Promise<string> {
  const refuse = (why: string, cause?: unknown): never => {
    throw new BusError('CONFIG_INVALID', `The file ${name} cannot be read: ${why}`, { at: name, cause });
  };
  const bytes = await readFile(name).catch((cause: unknown) => refuse((cause as Error).message, cause));
  if (bytes.length > BYTES_MAX) return refuse(`it has ${bytes.length} bytes, and ${BYTES_MAX} at most are expected.`);
  if (!isUtf8(bytes) || bytes.includes(0)) return refuse('it is no text in UTF-8.');
  return bytes.toString('utf8');
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
