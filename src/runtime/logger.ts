import { pino } from 'pino';
import { BusError } from '../protocol/errors.ts';
import { redactUrls } from '../protocol/redact.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

/** Log lines are events with fields. Never a row's value, never a secret. The level follows the consequence. */
export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  child(fields: LogFields): Logger;
}

/** JSON lines on standard error: standard output is for results. */
export function createLogger(level: LogLevel, base: LogFields): Logger {
  return wrap(
    pino(
      {
        level,
        base,
        timestamp: pino.stdTimeFunctions.isoTime,
        messageKey: 'event',
        formatters: { log: withoutSecrets },
      },
      pino.destination({ fd: 2, sync: true }),
    ),
  );
}

/** Whatever a field holds, and whoever wrote it: a place, a stack, the cause of a cause. */
function withoutSecrets(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? redactUrls(value) : value]),
  );
}

type Pino = ReturnType<typeof pino>;

function wrap(log: Pino): Logger {
  return {
    debug: (event, fields) => log.debug(fields ?? {}, event),
    info: (event, fields) => log.info(fields ?? {}, event),
    warn: (event, fields) => log.warn(fields ?? {}, event),
    error: (event, fields) => log.error(fields ?? {}, event),
    child: (fields) => wrap(log.child(fields)),
  };
}

/** An error as log fields: its code, place and hint, its causes, and the stack where it is none of ours. */
export function errorFields(error: unknown): LogFields {
  if (!(error instanceof BusError))
    return withoutSecrets({ message: messageOf(error), ...(error instanceof Error ? { stack: error.stack } : {}) });
  return withoutSecrets({
    code: error.code,
    message: error.message,
    hint: error.hint,
    ...(error.at === undefined ? {} : { at: error.at }),
    ...(error.cause === undefined ? {} : { cause: messageOf(error.cause) }),
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
