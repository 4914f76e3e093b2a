import { type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { fastify } from 'fastify';
import type { Endpoint } from '../../src/index.ts';

export const FRAMEWORKS = ['fastify', 'express'] as const;

// oxlint-disable-next-line typescript/no-explicit-any -- whatever an endpoint's family is
export type Routes = Readonly<Record<string, Endpoint<any, any, any>>>;

export interface WebAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

/** A real server of one of the two, whose own error handler answers 500 with the error's text. */
export class WebServer {
  readonly #port: number;
  readonly #close: () => Promise<void>;
  /** What reached the framework's error handler. */
  readonly errors: unknown[];

  private constructor(port: number, errors: unknown[], close: () => Promise<void>) {
    this.#port = port;
    this.#close = close;
    this.errors = errors;
  }

  static open(framework: (typeof FRAMEWORKS)[number], routes: Routes): Promise<WebServer> {
    return framework === 'fastify' ? WebServer.#fastify(routes) : WebServer.#express(routes);
  }

  static async #fastify(routes: Routes): Promise<WebServer> {
    const errors: unknown[] = [];
    const app = fastify({ forceCloseConnections: true });
    app.addHook('onRequest', async (_request, reply) => void reply.header('vary', 'Origin'));
    app.setErrorHandler(async (error, _request, reply) => {
      errors.push(error);
      return reply.code(500).send(String(error));
    });
    for (const [path, route] of Object.entries(routes)) {
      app.get(path, route.fastify);
      app.post(path, route.fastify);
    }
    await app.listen({ host: '127.0.0.1', port: 0 });
    return new WebServer((app.server.address() as AddressInfo).port, errors, () => app.close());
  }

  static async #express(routes: Routes): Promise<WebServer> {
    const errors: unknown[] = [];
    const app = express();
    app.use((_request, response, next) => {
      response.vary('Origin');
      next();
    });
    for (const [path, route] of Object.entries(routes)) app.all(path, route.express);
    app.use((error: unknown, _request: express.Request, response: express.Response, _next: express.NextFunction) => {
      errors.push(error);
      response.status(500).send(String(error));
    });
    const server = app.listen(0, '127.0.0.1');
    await new Promise<void>((resolve, reject) => {
      server.once('listening', resolve);
      server.once('error', reject);
    });
    return new WebServer((server.address() as AddressInfo).port, errors, async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
  }

  /** By Node's own client: `fetch` adds a Cache-Control of its own to a conditional request. */
  get(path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<WebAnswer> {
    return new Promise((resolve, reject) => {
      const asked = request({ host: '127.0.0.1', port: this.#port, path, method, headers }, (answer) => {
        const parts: Buffer[] = [];
        answer.on('data', (part: Buffer) => parts.push(part));
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, text: Buffer.concat(parts).toString() }),
        );
      });
      asked.on('error', reject);
      asked.end();
    });
  }

  close(): Promise<void> {
    return this.#close();
  }
}
