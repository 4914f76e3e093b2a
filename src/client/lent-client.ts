import { readColumn } from '../protocol/column-value.ts';
import { BusError } from '../protocol/errors.ts';
import { classify, sqlStateOf } from '../protocol/sqlstate.ts';
import type { Pool, PoolClient, Queryable, QueryReply } from './pool.ts';

/** Every column as the text that Postgres prints, except what JSON has a form for (column-value.ts). */
const TYPES = { getTypeParser: (typeOid: number) => (text: string) => readColumn(typeOid, text) };

/** One statement. Throws what pg throws. */
export function ask(on: Queryable, text: string, values?: readonly string[]): Promise<QueryReply> {
  return on.query({ text, rowMode: 'array', types: TYPES, ...(values === undefined ? {} : { values: [...values] }) });
}

/** Several statements in one round trip; a reply each. The simple protocol, which alone takes several, has no parameters. */
export async function askAll(on: Queryable, text: string): Promise<readonly QueryReply[]> {
  const reply: unknown = await ask(on, text);
  return Array.isArray(reply) ? (reply as QueryReply[]) : [reply as QueryReply];
}

/**
 * Lends a client of a pool to `body`, and gives it back whatever happens. pg cannot cancel a query: when the signal is aborted, the client is
 * closed in the middle of it, and with it ends whatever transaction was open. It is closed also where an error leaves its state in doubt.
 *
 * Throws the signal's reason, a coded error of Postgres, or what `body` throws of its own.
 */
export async function lendClient<T>(
  pool: Pool,
  signal: AbortSignal | undefined,
  body: (client: PoolClient) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => undefined);
  const onAbort = (): void => aborted.reject(signal?.reason);
  signal?.addEventListener('abort', onAbort, { once: true });
  try {
    const client = await connect(pool, aborted.promise, signal);
    // pg tells a broken connection to the query and by an event, and an event that nobody hears ends the process.
    const onError = (): void => undefined;
    client.on('error', onError);
    let mustClose = true;
    try {
      refuseOpenTransaction(client);
      const result = await Promise.race([body(client), aborted.promise]);
      mustClose = false;
      return result;
    } catch (error) {
      if (signal?.aborted === true) throw error;
      mustClose = isInDoubt(error);
      throw classify(error, 'query');
    } finally {
      client.release(mustClose);
      client.removeListener('error', onError);
    }
  } finally {
    signal?.removeEventListener('abort', onAbort);
  }
}

/** Who gave the client back inside a transaction has left a snapshot on it that may be of any age. The client is closed. */
function refuseOpenTransaction(client: PoolClient): void {
  const status = client.getTransactionStatus?.() ?? 'I';
  if (status === 'I') return;
  throw new BusError(
    'POSTGRES_IN_TRANSACTION',
    'A client of the pool came with a transaction open: somebody released it without COMMIT or ROLLBACK.',
  );
}

const CLIENT_METHODS = ['query', 'release', 'on', 'removeListener'] as const;

async function connect(pool: Pool, aborted: Promise<never>, signal: AbortSignal | undefined): Promise<PoolClient> {
  const connecting = pool.connect();
  try {
    const client = await Promise.race([connecting, aborted]);
    if (CLIENT_METHODS.every((name) => typeof client?.[name] === 'function')) return client;
    throw new BusError('POSTGRES_POOL_INVALID', 'What was passed as a pool gives no clients as a Pool of pg does.');
  } catch (error) {
    if (signal?.aborted !== true) throw classify(error, 'connect');
    // Nobody waits for the client any more; when it comes it goes straight back.
    void connecting.then(
      (client) => client.release(),
      () => undefined,
    );
    throw error;
  }
}

/** SQLSTATEs after which a session has ended: class 57P (shutdown, crash), class 08, and two limits on idle transactions (25P03, 25P04). */
const SESSION_ENDED = /^(?:57P0|08|25P0[34])/;

/** Whether the session may be in a state that nobody knows: the server did not answer, or said that it ends. */
export function isInDoubt(error: unknown): boolean {
  if (error instanceof BusError)
    return error.code === 'POSTGRES_IN_TRANSACTION' || error.code === 'WRITE_OUTCOME_UNKNOWN';
  const code = sqlStateOf(error);
  return code === undefined || SESSION_ENDED.test(code);
}
