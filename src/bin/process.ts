import { Health } from '../runtime/health.ts';
import { type Page, serveHealth } from '../runtime/http.ts';
import { systemClock } from '../runtime/clock.ts';
import { createLogger, errorFields, type Logger } from '../runtime/logger.ts';
import { Metrics } from '../runtime/metrics.ts';
import { live, onProcessSignal } from '../runtime/process-life.ts';
import type { Service } from '../runtime/service.ts';
import { readSettings } from '../runtime/settings.ts';

export interface ProcessParts {
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly health: Health;
  /** Further pages of the health port, by path. */
  readonly pages: Map<string, () => Page>;
}

/** Runs one program of ours as a process: settings, log, metrics, health, the service, and its end. Returns the exit code. */
export async function runProcess(
  program: string,
  base: Readonly<Record<string, string>>,
  create: (parts: ProcessParts) => Promise<Service>,
): Promise<number> {
  const settings = readSettings(process.env);
  const log = createLogger(settings.logLevel, { program, ...base, pid: process.pid });
  const metrics = new Metrics();
  const health = new Health();
  const pages = new Map<string, () => Page>();
  // A broken invariant ends the process; whoever runs it starts it anew.
  const broken = (error: unknown): void => {
    log.error('a broken invariant', errorFields(error));
    process.exit(1);
  };
  process.on('uncaughtException', broken).on('unhandledRejection', broken);
  const http = await serveHealth({ host: settings.httpHost, port: settings.httpPort }, health, metrics, pages);
  log.info('serving health', { host: settings.httpHost, port: http.port });
  try {
    const service = await create({ log, metrics, health, pages });
    return await live([service], {
      clock: systemClock,
      log,
      onSignal: onProcessSignal,
      drainTimeoutMs: settings.drainTimeoutMs,
      onDraining: () => health.drain(),
    });
  } finally {
    await http.close();
    process.off('uncaughtException', broken).off('unhandledRejection', broken);
  }
}
