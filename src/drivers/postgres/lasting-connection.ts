import type { BusError } from '../../protocol/errors.ts';
import { type Connection, connect } from './connection.ts';

export interface LastingOptions {
  readonly url: string;
  readonly applicationName: string;
  /** As for `connect`. */
  readonly answerTimeoutMs?: number;
  readonly statementTimeoutMs?: number;
  readonly findsUserNames?: boolean;
  /** Told once for each connection that is lost, with the reason. */
  readonly onLost?: (reason: BusError) => void;
}

/** One SQL connection that is opened when first asked for, and again after it was lost. Retrying is the caller's. */
export class LastingConnection {
  readonly #options: LastingOptions;
  readonly #closing = new AbortController();
  #connection: Connection | undefined;
  #opening: Promise<Connection> | undefined;

  constructor(options: LastingOptions) {
    this.#options = options;
  }

  /** Rejects with a coded error while there is no connection to be had. Who asks meanwhile waits for the same. */
  async get(): Promise<Connection> {
    const present = this.#connection;
    if (present !== undefined && !present.isLost) return present;
    this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#opening?.catch(() => undefined);
    await this.#connection?.close();
    this.#connection = undefined;
  }

  async #open(): Promise<Connection> {
    const { url, onLost } = this.#options;
    const connection = await connect(url, { ...this.#options, signal: this.#closing.signal });
    if (onLost !== undefined) void connection.lost.then(onLost);
    this.#connection = connection;
    return connection;
  }
}
