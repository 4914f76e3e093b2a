import { fastify } from 'fastify';
import { BusError } from '../protocol/errors.ts';
import type { Health } from './health.ts';
import type { Metrics } from './metrics.ts';

/** A page as JSON. */
export interface Page {
  readonly code: number;
  readonly body: object;
}

export interface HttpServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves `/livez` (200 while the event loop turns), `/readyz` (200 when every check is ready, else 503, with the checks as JSON) and
 * `/metrics` (Prometheus text), and what stands in `pages` when it is asked for. Port 0 takes a free one. Throws `HTTP_PORT_IN_USE` or
 * `SETTING_INVALID`.
 */
export async function serveHealth(
  options: { readonly host: string; readonly port: number },
  health: Health,
  metrics: Metrics,
  pages: ReadonlyMap<string, () => Page> = new Map(),
): Promise<HttpServer> {
  const app = fastify({ logger: false, forceCloseConnections: true });
  app.get('/livez', () => ({ live: true }));
  app.get('/readyz', async (_request, reply) => {
    const report = health.report();
    return reply.code(report.ready ? 200 : 503).send(report);
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  app.get('/*', async (request, reply) => {
    const page = pages.get(request.url.split('?')[0] ?? '')?.();
    return page === undefined ? reply.callNotFound() : reply.code(page.code).send(page.body);
  });
  try {
    await app.listen({ host: options.host, port: options.port });
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE' || code === 'EACCES')
      throw new BusError('HTTP_PORT_IN_USE', `The health port ${options.host}:${options.port} cannot be taken.`, {
        cause,
      });
    throw new BusError(
      'SETTING_INVALID',
      `AFTERWRITE_HTTP_HOST: an address of this machine is expected (${message}).`,
      {
        cause,
      },
    );
  }
  const address = app.server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : options.port,
    close: () => app.close(),
  };
}
