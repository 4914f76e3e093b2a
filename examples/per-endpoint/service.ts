// Three endpoints of one service, each with a strategy of its own, on Fastify and on Express. In an application the import is from 'afterwrite'.
import type { AddressInfo } from 'node:net';
import express from 'express';
import { fastify } from 'fastify';
import type { Cache } from '../../src/index.ts';

/** How each is cached stands in families.yaml; here stands what caches before the service may do with its answers. */
function routesOf(cache: Cache) {
  return {
    // Anybody's, from the memory of the process where it is there; a CDN keeps it for a minute, and for an hour more while it asks.
    '/products/:id': cache.route({
      family: 'product',
      params: ({ params }) => ({ id: params['id'] }),
      fresh: '60s',
      absent: '5s',
      followsRequest: false,
    }),
    // Asked for at each use, and answered by 304 where nothing has changed. A region that is more than two seconds behind does not answer: the database does,
    // or 503 says that nobody can.
    '/products/:id/stock': cache.route({
      family: 'stock',
      params: ({ params }) => ({ product_id: params['id'] }),
      fresh: 0,
      maxStaleness: '2s',
    }),
    // The customer's alone. Who he is, a gateway before the service has found out.
    '/orders': cache.route({
      family: 'orders-of',
      params: ({ headers }) =>
        headers['x-customer'] === undefined ? null : { customer_id: String(headers['x-customer']) },
      fresh: '10s',
      private: true,
      vary: ['X-Customer'],
      render: (orders) => ({ orders }),
    }),
  };
}

export interface RunningService {
  readonly fastifyUrl: string;
  readonly expressUrl: string;
  close(): Promise<void>;
}

/** Serves the same endpoints on both, on free ports of this machine. The cache stays the caller's. */
export async function serve(cache: Cache): Promise<RunningService> {
  const routes = Object.entries(routesOf(cache));

  const onFastify = fastify({ forceCloseConnections: true });
  for (const [path, route] of routes) onFastify.get(path, route.fastify);
  const fastifyUrl = await onFastify.listen({ host: '127.0.0.1', port: 0 });

  const onExpress = express();
  for (const [path, route] of routes) onExpress.get(path, route.express);
  const server = onExpress.listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));

  return {
    fastifyUrl,
    expressUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      await onFastify.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
