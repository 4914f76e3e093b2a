import type { Clock } from './clock.ts';
import { errorFields, type Logger } from './logger.ts';
import type { Service } from './service.ts';

export interface LifeParts {
  readonly clock: Clock;
  readonly log: Logger;
  /** Calls back at each request to end: SIGTERM, SIGINT. Returns what stops listening. */
  readonly onSignal: (listener: (signal: string) => void) => () => void;
  readonly drainTimeoutMs: number;
  /** Told as soon as the process begins to end: readiness goes. */
  readonly onDraining?: () => void;
}

/**
 * Runs services until one ends or a signal comes; drains them in reverse order within a deadline; returns the exit code.
 *
 *     0   a signal came and every service drained, or a task came to its end
 *     1   a service failed or ended by itself, a drain failed, or the deadline passed
 *
 * A second signal ends the drain at once.
 */
export async function live(services: readonly Service[], parts: LifeParts): Promise<0 | 1> {
  const { log, clock } = parts;
  const stop = new AbortController();
  const asked = Promise.withResolvers<'signal'>();
  const hurried = new AbortController();
  const unlisten = parts.onSignal((signal) => {
    log.info('asked to end', { signal });
    asked.resolve('signal');
    if (isDraining) hurried.abort();
    isDraining = true;
  });
  let isDraining = false;
  let code: 0 | 1 = 0;
  const fail = (event: string, fields: object): void => {
    code = 1;
    log.error(event, { ...fields });
  };
  const runs = services.map((service) =>
    service.run(stop.signal).then(
      () => (isDraining || service.isTask ? undefined : fail('a service ended by itself', { service: service.name })),
      (error: unknown) => fail('a service failed', { service: service.name, ...errorFields(error) }),
    ),
  );
  try {
    await Promise.race([asked.promise, ...runs]);
    isDraining = true;
    parts.onDraining?.();
    const drained = drainAll(services, fail)
      // What has drained hears that it may end, whatever it still waits for.
      .then(() => stop.abort())
      .then(() => Promise.all(runs))
      .then(() => 'drained' as const);
    // One deadline for all of it: whoever asked for the end waits no longer.
    const late = clock.sleep(parts.drainTimeoutMs, hurried.signal).then(() => 'late' as const);
    if ((await Promise.race([drained, late])) === 'late')
      fail('not drained in time', { drainTimeoutMs: parts.drainTimeoutMs });
    return code;
  } finally {
    hurried.abort();
    stop.abort();
    unlisten();
  }
}

async function drainAll(services: readonly Service[], fail: (event: string, fields: object) => void): Promise<void> {
  for (const service of services.toReversed()) {
    try {
      await service.drain?.();
    } catch (error) {
      fail('a drain failed', { service: service.name, ...errorFields(error) });
    }
  }
}

/** SIGTERM and SIGINT of this process. */
export function onProcessSignal(listener: (signal: string) => void): () => void {
  process.on('SIGTERM', listener).on('SIGINT', listener);
  return () => process.off('SIGTERM', listener).off('SIGINT', listener);
}
