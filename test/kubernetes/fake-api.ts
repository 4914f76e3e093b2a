import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { type Access, isAllowed, refuse, type GrantedRule } from './fake-access.ts';
import { FakeObjects } from './fake-objects.ts';
import { Refusal } from './fake-refusal.ts';
import { accessOf, answer, json, readRequest, type Request } from './fake-request.ts';
import { FakeStore } from './fake-store.ts';
import { FakeWatches } from './fake-watches.ts';

/** What becomes of a request instead of its answer. `reset-after`: it is done, and nobody is told. */
export type Fault =
  | { readonly kind: 'status'; readonly code: number; readonly reason: string; readonly retryAfterSeconds?: number }
  | { readonly kind: 'reset-before' }
  | { readonly kind: 'reset-after' }
  /** It is held back until the promise resolves, and then done. */
  | { readonly kind: 'held'; readonly until: Promise<unknown> };

export interface ServedRequest extends Access {
  readonly user: string;
  /** By `performance.now()`, when it came in. */
  readonly atMs: number;
  /** 0: none was sent. */
  status: number;
  readonly body: unknown;
}

const ADMIN = 'admin';

/**
 * An API server in memory: the few resources that we use, by the rules that matter to us. What it says of itself is held against a real one by the
 * same suite (api-conformance.ts).
 *
 * Who asks is told by a bearer token: `addUser` gives one its rules. Faults are scripted. `restart` ends every connection and keeps the objects.
 */
export class FakeApi {
  readonly store = new FakeStore();
  readonly served: ServedRequest[] = [];
  readonly watches = new FakeWatches(this.store);
  readonly #objects = new FakeObjects(this.store);
  readonly #users = new Map<string, readonly GrantedRule[]>();
  readonly #sockets = new Set<Socket>();
  readonly #faults: {
    readonly matches: (request: Access & { readonly user: string }) => boolean;
    readonly fault: Fault;
    times: number;
  }[] = [];
  #server: Server | undefined;
  #port = 0;

  constructor() {
    this.#users.set(ADMIN, [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]);
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  addUser(name: string, rules: readonly GrantedRule[]): void {
    this.#users.set(name, rules);
  }

  /** The next `times` requests that match meet the fault. */
  script(matches: (request: Access & { readonly user: string }) => boolean, fault: Fault, times = 1): void {
    this.#faults.push({ matches, fault, times });
  }

  unscript(): void {
    this.#faults.length = 0;
  }

  async start(): Promise<void> {
    const server = createServer((request, response) => void this.#serve(request, response));
    server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
    await new Promise<void>((resolve, reject) => server.once('error', reject).listen(this.#port, '127.0.0.1', resolve));
    this.#port = (server.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Every connection breaks; what was sent is lost or done, as it may be. */
  async stop(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    this.watches.forget();
    await new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let request: Request;
    try {
      request = await readRequest(incoming, (name) => this.#users.has(name));
    } catch (error) {
      return answer(response, error);
    }
    const access = accessOf(request);
    const served: ServedRequest = {
      ...access,
      user: request.user,
      atMs: performance.now(),
      status: 0,
      body: request.body,
    };
    this.served.push(served);
    response.on('finish', () => (served.status = response.statusCode));
    const fault = this.#faultFor({ ...access, user: request.user });
    if (fault?.kind === 'held') await fault.until;
    if (fault?.kind === 'reset-before') return void incoming.socket.destroy();
    try {
      if (fault?.kind === 'status')
        throw new Refusal(fault.code, fault.reason, `scripted: ${fault.reason}`, fault.retryAfterSeconds);
      const rules = this.#users.get(request.user) ?? [];
      if (!isAllowed(rules, access)) throw refuse(request.user, access);
      if (request.verb === 'watch') {
        served.status = 200;
        this.watches.add(request, response);
        return;
      }
      const { code, object } = this.#objects.do(request);
      if (fault?.kind === 'reset-after') return void incoming.socket.destroy();
      json(response, code, object);
    } catch (error) {
      answer(response, error);
    }
  }

  #faultFor(access: Access & { readonly user: string }): Fault | undefined {
    const scripted = this.#faults.find(({ matches, times }) => times > 0 && matches(access));
    if (scripted === undefined) return undefined;
    scripted.times -= 1;
    return scripted.fault;
  }
}
