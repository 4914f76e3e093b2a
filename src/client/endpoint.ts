import { BusError } from '../protocol/errors.ts';
import type { CacheFamily } from './cache-family.ts';
import { type Answer, answerTo } from './endpoint-answer.ts';
import { type EndpointPolicy, type PolicyOptions, readPolicy } from './endpoint-policy.ts';
import { failureAnswer, problemAnswer } from './problem.ts';
import { type Render, Representations } from './representation.ts';
import { demandOf, NO_DEMAND, type RequestDemand, type RequestHeaders } from './request-demand.ts';
import type { Served } from './told.ts';

/** What Fastify and Express both give of a request. An application may name its framework's own type at `params` instead. */
export interface EndpointRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: RequestHeaders;
  readonly params: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
}

/** The least that an answer needs. */
export interface AnyRequest {
  readonly method?: string | undefined;
  readonly headers: RequestHeaders;
}

/** As much of Fastify's reply as is used. */
export interface FastifyReplyPart {
  code(status: number): unknown;
  header(name: string, value: string): unknown;
  getHeader(name: string): unknown;
  send(body?: Uint8Array): unknown;
}

/** As much of Express's response as is used; Node's own has it too. */
export interface ExpressResponsePart {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  getHeader(name: string): unknown;
  end(body?: Uint8Array): unknown;
}

export interface EndpointOptions<T, P, R> extends PolicyOptions {
  /**
   * The parameters of the key, from the request; null or undefined where the request has none that could be one: 400. What it throws reaches the framework's
   * error handler as it is.
   */
  readonly params: (request: R) => P | null | undefined | Promise<P | null | undefined>;
  /** What is sent for a value: a text or bytes as they are, anything else as JSON. By the value alone. Default the value as JSON. */
  readonly render?: Render<T>;
}

const METHODS: ReadonlySet<string | undefined> = new Set(['GET', 'HEAD']);

/** What `cache.route` makes: an endpoint that answers by a read of a family. */
export class Endpoint<T, P extends object, R> {
  readonly #family: CacheFamily<T, P>;
  readonly #policy: EndpointPolicy;
  readonly #params: EndpointOptions<T, P, R>['params'];
  readonly #representations: Representations<T>;

  /** Throws `CACHE_OPTION_INVALID`. */
  constructor(family: CacheFamily<T, P>, options: EndpointOptions<T, P, R>, familyStaleMs: number) {
    if (typeof options.params !== 'function')
      throw new BusError('CACHE_OPTION_INVALID', "A route's params is a function of the request.");
    this.#family = family;
    this.#policy = readPolicy(options, familyStaleMs);
    this.#params = options.params;
    this.#representations = new Representations(options.render);
  }

  /** A handler for Fastify 5: `app.get('/users/:id', route.fastify)`. */
  readonly fastify = async <Y extends FastifyReplyPart>(request: AnyRequest, reply: Y): Promise<Y> => {
    const { status, headers, body } = await this.answer(request as AnyRequest & R);
    reply.code(status);
    for (const [name, value] of Object.entries(withVary(headers, reply.getHeader('vary')))) reply.header(name, value);
    reply.send(body);
    return reply;
  };

  /** A handler for Express 5 and 4, and whatever else gives Node's own request and response: `app.get('/users/:id', route.express)`. */
  readonly express = async (
    request: AnyRequest,
    response: ExpressResponsePart,
    next: (error?: unknown) => void,
  ): Promise<void> => {
    let answer: Answer;
    try {
      answer = await this.answer(request as AnyRequest & R);
    } catch (error) {
      return next(error);
    }
    const { status, headers, body } = answer;
    response.statusCode = status;
    for (const [name, value] of Object.entries(withVary(headers, response.getHeader('vary'))))
      response.setHeader(name, value);
    response.end(body);
  };

  /** For any other framework. Rejects with what `params`, `render` or the loader throws, and with misuse; other failures are answers. */
  async answer(request: AnyRequest & R): Promise<Answer> {
    const { method, headers } = request;
    if (!METHODS.has(method))
      return problemAnswer({ status: 405, detail: undefined }, { allow: 'GET, HEAD', 'cache-control': 'no-store' });
    let served: Served<T> | undefined;
    try {
      const params = await this.#params(request);
      if (params == null)
        throw new BusError(
          'KEY_PARAMETER_INVALID',
          'The request does not say what is asked for, or says it in no form that can be.',
        );
      served = await this.#read(params, this.#policy.followsRequest ? demandOf(headers) : NO_DEMAND);
    } catch (error) {
      const answer = failureAnswer(error);
      if (answer === undefined) throw error;
      return answer;
    }
    return this.#answerBy(headers, served);
  }

  #read(params: P, { maxStalenessMs = Number.POSITIVE_INFINITY, isHeldOnly }: RequestDemand) {
    const boundMs = Math.min(maxStalenessMs, this.#policy.maxStalenessMs ?? Number.POSITIVE_INFINITY);
    const options = Number.isFinite(boundMs) ? { maxStalenessMs: boundMs } : {};
    return isHeldOnly ? this.#family.serveHeld(params, options) : this.#family.serve(params, options);
  }

  #answerBy(headers: RequestHeaders, served: Served<T> | undefined): Answer {
    if (served === undefined) return answerTo(headers, { kind: 'not held' }, this.#policy);
    if (served.value === null) return answerTo(headers, { kind: 'absence', age: served }, this.#policy);
    const representation = this.#representations.of(served);
    return answerTo(headers, { kind: 'value', age: served, representation }, this.#policy);
  }
}

/** What others have named, as CORS does, is varied by too. */
function withVary(headers: Answer['headers'], before: unknown): Answer['headers'] {
  const { vary } = headers;
  if (vary === undefined || before === undefined) return headers;
  return { ...headers, vary: [before].flat().concat(vary).map(String).join(', ') };
}
