import { z } from 'zod';
import { BusError } from '../protocol/errors.ts';

/** The settings of a process, as environment variables. What is cached and what makes it old stands in the file, not here. */
export const SETTINGS = {
  AFTERWRITE_HTTP_HOST: {
    schema: z.string().min(1).default('127.0.0.1'),
    help: 'Address of the health port. Default 127.0.0.1; 0.0.0.0 in a container.',
  },
  AFTERWRITE_HTTP_PORT: {
    schema: z.coerce.number().int().min(0).max(65_535).default(9464),
    help: 'Port of /livez, /readyz and /metrics. 0 takes a free one. Default 9464.',
  },
  AFTERWRITE_LOG_LEVEL: {
    schema: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
    help: 'Least level that is logged: debug, info, warn, error. Default info.',
  },
  AFTERWRITE_DRAIN_TIMEOUT_MS: {
    schema: z.coerce.number().int().min(100).max(600_000).default(10_000),
    help: 'Deadline of a drain in milliseconds. Default 10000.',
  },
} as const;

export interface ProcessSettings {
  readonly httpHost: string;
  readonly httpPort: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly drainTimeoutMs: number;
}

/** Reads the settings. All faults at once, each by its variable. Throws `SETTING_INVALID`. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): ProcessSettings {
  const faults: string[] = [];
  const read = <T>(name: keyof typeof SETTINGS, schema: z.ZodType<T>): T | undefined => {
    const result = schema.safeParse(env[name] === '' ? undefined : env[name]);
    if (result.success) return result.data;
    faults.push(`${name}: ${result.error.issues.map((issue) => issue.message).join('; ')}. ${SETTINGS[name].help}`);
    return undefined;
  };
  const httpHost = read('AFTERWRITE_HTTP_HOST', SETTINGS.AFTERWRITE_HTTP_HOST.schema);
  const httpPort = read('AFTERWRITE_HTTP_PORT', SETTINGS.AFTERWRITE_HTTP_PORT.schema);
  const logLevel = read('AFTERWRITE_LOG_LEVEL', SETTINGS.AFTERWRITE_LOG_LEVEL.schema);
  const drainTimeoutMs = read('AFTERWRITE_DRAIN_TIMEOUT_MS', SETTINGS.AFTERWRITE_DRAIN_TIMEOUT_MS.schema);
  if (httpHost === undefined || httpPort === undefined || logLevel === undefined || drainTimeoutMs === undefined) {
    throw new BusError('SETTING_INVALID', faults.join('\n'));
  }
  return { httpHost, httpPort, logLevel, drainTimeoutMs };
}

/** The settings as a block of help. */
export function settingsHelp(): string {
  return Object.entries(SETTINGS)
    .map(([name, { help }]) => `  ${name.padEnd(30)}${help}`)
    .join('\n');
}
