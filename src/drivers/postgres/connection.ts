import { Client, type QueryResultRow } from 'pg';
import { BusError } from '../../protocol/errors.ts';
import { classify } from '../../protocol/sqlstate.ts';
import { clientConfig, placeOf } from './client-config.ts';

/** Default for a statement of ours; none of them reads a user's table. */
const STATEMENT_TIMEOUT_MS = 10_000;
/**
 * What an answer may take beyond the statement's own limit. The server keeps that limit, so without a sign of it by then the network has
 * swallowed one of the two, and TCP alone would not say so for minutes.
 */
const ANSWER_GRACE_MS = 5000;
/** What `close` waits for the server to hang up. */
const CLOSE_TIMEOUT_MS = 1000;

export interface ConnectOptions {
  /** Shown in pg_stat_activity. */
  readonly applicationName: string;
  /** Default 10 s. 0 means no limit. */
  readonly statementTimeoutMs?: number;
  /** Default 5 s beyond the limit of a statement; without such a limit an answer is waited for without end. */
  readonly answerTimeoutMs?: number;
  /** Default 0: a statement waits for locks up to its own limit. */
  readonly lockTimeoutMs?: number;
  /** Gives up connecting. */
  readonly signal?: AbortSignal;
  /** Whether names without a schema are found as the user's own sessions find them, by the server's search_path. Default false: in the catalog only. */
  readonly findsUserNames?: boolean;
}

/** A column of a query's result. */
export interface ResultColumn {
  readonly name: string;
  /** Of a domain: its base type. */
  readonly typeOid: number;
  /** The table's column that it was taken from, by OID and number; 0 for what is computed. */
  readonly tableOid: number;
  readonly columnNumber: number;
}

/** What reads and writes SQL: a connection, or a transaction on one. */
export interface Sql {
  /** Runs one statement. Rejects with a coded error. Integers of 64 bits come as text. */
  query<Row extends QueryResultRow>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

/**
 * One SQL session. A statement that fails leaves it usable; a lost connection does not, and is told once by `lost`.
 */
export class Connection implements Sql {
  /** Host, port and database, for messages. */
  readonly at: string;
  readonly #client: Client;
  readonly #answerTimeoutMs: number;
  readonly #lost = Promise.withResolvers<BusError>();
  #farewell: string | undefined;
  #lostBy: BusError | undefined;

  /** `answerTimeoutMs` is what a statement's answer may take before the connection is given up; 0 means no limit. */
  constructor(client: Client, at: string, answerTimeoutMs: number) {
    this.at = at;
    this.#client = client;
    this.#answerTimeoutMs = answerTimeoutMs;
    // A crash, or an immediate shutdown, says its reason in a warning (57P02, 57P01) before the socket closes.
    client.on('notice', ({ code }) => {
      if (code === '57P01' || code === '57P02') this.#farewell = code;
    });
    client.on('error', (error) => this.#lose(error));
  }

  /** Resolves with the reason when the connection is lost; never if it is closed by `close`. */
  get lost(): Promise<BusError> {
    return this.#lost.promise;
  }

  get isLost(): boolean {
    return this.#lostBy !== undefined;
  }

  async query<Row extends QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<Row[]> {
    if (this.#lostBy !== undefined) throw this.#lostBy;
    const deadline = this.#answerTimeoutMs === 0 ? undefined : setTimeout(() => this.#giveUp(), this.#answerTimeoutMs);
    try {
      const { rows } = await this.#client.query<Row>(text, [...values]);
      return rows;
    } catch (error) {
      throw this.#lostBy ?? this.#classify(error);
    } finally {
      clearTimeout(deadline);
    }
  }

  /** The columns that a query gives, whatever its parameters are. The query runs, for no rows and with NULL for each parameter. */
  async describe(text: string, parameters: number): Promise<ResultColumn[]> {
    if (this.#lostBy !== undefined) throw this.#lostBy;
    try {
      const values = Array.from({ length: parameters }, () => null);
      const { fields } = await this.#client.query({ text: `SELECT * FROM (${text}\n) AS q LIMIT 0`, values });
      return fields.map(({ name, dataTypeID, tableID, columnID }) => ({
        name,
        typeOid: dataTypeID,
        tableOid: tableID,
        columnNumber: columnID,
      }));
    } catch (error) {
      throw this.#lostBy ?? this.#classify(error);
    }
  }

  /** Runs the statements as one transaction: all of them, or none. */
  async transaction<T>(body: (sql: Sql) => Promise<T>): Promise<T> {
    await this.query('BEGIN');
    try {
      const result = await body(this);
      await this.query('COMMIT');
      return result;
    } catch (error) {
      if (!this.isLost) await this.query('ROLLBACK');
      throw error;
    }
  }

  /** Takes leave of the server, and waits no more than a moment for it. */
  async close(): Promise<void> {
    this.#client.removeAllListeners('error');
    this.#client.on('error', () => undefined);
    const giveUp = setTimeout(() => this.#client.connection.stream.destroy(), CLOSE_TIMEOUT_MS);
    await this.#client.end();
    clearTimeout(giveUp);
  }

  /** pg's own `query_timeout` would leave the statement at the head of its queue, and every later one waiting behind it. */
  #giveUp(): void {
    this.#client.connection.stream.destroy(new Error(`No answer within ${this.#answerTimeoutMs} ms.`));
  }

  #lose(error: unknown): void {
    this.#lostBy ??= this.#classify(error);
    this.#lost.resolve(this.#lostBy);
  }

  #classify(error: unknown): BusError {
    const found = classify(error, 'query', this.at);
    if (this.#farewell === undefined || found.code !== 'POSTGRES_UNREACHABLE') return found;
    const code = this.#farewell === '57P02' ? 'POSTGRES_CRASHED' : 'POSTGRES_SHUTDOWN';
    return new BusError(code, `The server closed the connection (SQLSTATE ${this.#farewell}).`, {
      cause: error,
      at: this.at,
    });
  }
}

/** Opens a session. Throws POSTGRES_UNREACHABLE, POSTGRES_AUTHENTICATION, or SETTING_INVALID for what is no URL. */
export async function connect(url: string, options: ConnectOptions): Promise<Connection> {
  const at = placeOf(url);
  const statementTimeoutMs = options.statementTimeoutMs ?? STATEMENT_TIMEOUT_MS;
  const settings = {
    statement_timeout: `${statementTimeoutMs}ms`,
    lock_timeout: `${options.lockTimeoutMs ?? 0}ms`,
    // Names are read from the catalog and quoted; nothing may be found by another's search_path.
    ...(options.findsUserNames === true ? {} : { search_path: 'pg_catalog' }),
  };
  const client = new Client(clientConfig(url, { applicationName: options.applicationName, settings }));
  const answerTimeoutMs = statementTimeoutMs === 0 ? 0 : statementTimeoutMs + ANSWER_GRACE_MS;
  const connection = new Connection(client, at, options.answerTimeoutMs ?? answerTimeoutMs);
  const abort = (): void => {
    client.connection.stream.destroy(new Error('The attempt was stopped.'));
  };
  options.signal?.addEventListener('abort', abort, { once: true });
  try {
    if (options.signal?.aborted === true) throw new Error('The attempt was stopped.');
    await client.connect();
    return connection;
  } catch (error) {
    throw classify(error, 'connect', at);
  } finally {
    options.signal?.removeEventListener('abort', abort);
  }
}
