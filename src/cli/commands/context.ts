import type { BusConfig, RegionConfig } from '../../config/bus-config.ts';
import { printFault } from '../../config/fault.ts';
import { loadConfig } from '../../config/load-config.ts';
import { connect, type Connection } from '../../drivers/postgres/connection.ts';
import { BusError } from '../../protocol/errors.ts';
import type { Output } from '../output.ts';

/** The user's file where none is named. */
export const DEFAULT_FILE = 'afterwrite.yaml';

/** What every command is given. */
export interface CommandContext {
  readonly output: Output;
  readonly configPaths: readonly string[];
  readonly json: boolean;
}

/** Reads the file; its warnings go to standard error. */
export function configOf({ configPaths, output }: CommandContext): Promise<BusConfig> {
  return loadConfig(configPaths, process.env, (warning) => output.err.write(`warning: ${printFault(warning)}\n`));
}

/** Throws `SETTING_INVALID`. */
export function regionOf(config: BusConfig, name: string): RegionConfig {
  const region = config.regions.get(name);
  if (region !== undefined) return region;
  throw new BusError(
    'SETTING_INVALID',
    `The file has no region "${name}"; it has ${[...config.regions.keys()].join(', ')}.`,
  );
}

/** Runs something on the source database and closes the session. */
export async function withSource<T>(
  config: BusConfig,
  purpose: string,
  body: (sql: Connection) => Promise<T>,
  statementTimeoutMs = 10_000,
): Promise<T> {
  const sql = await connect(config.source.url, {
    applicationName: `afterwrite-${purpose}-${config.bus}`,
    statementTimeoutMs,
  });
  try {
    return await body(sql);
  } finally {
    await sql.close();
  }
}
