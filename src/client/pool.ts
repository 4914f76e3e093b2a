/**
 * What is used of a pool of node-postgres (`Pool` of `pg` 8): the application passes its own. This library does not import `pg`, so that an
 * application without Postgres needs none.
 */
export interface Pool {
  connect(): Promise<PoolClient>;
}

export interface PoolClient extends Queryable {
  /** `I` outside a transaction, `T` or `E` inside one, as the server's last answer said. Older releases of pg 8 lack it. */
  getTransactionStatus?(): string | null;
  /** Gives the client back; `true` closes its connection, also in the middle of a query. */
  release(destroy?: boolean): void;
  on(event: 'error', listener: (error: Error) => void): unknown;
  removeListener(event: 'error', listener: (error: Error) => void): unknown;
}

/** A pool, or a client of one. */
export interface Queryable {
  query(request: QueryRequest): Promise<QueryReply>;
}

export interface QueryRequest {
  readonly text: string;
  /** Without values the simple protocol is used: the text may then hold several statements, and the reply is a list. */
  values?: string[];
  /** Rows come as arrays, so that two columns of one name do not hide each other. */
  readonly rowMode: 'array';
  readonly types: { getTypeParser(typeOid: number, format?: string): (text: string) => unknown };
}

export interface QueryReply {
  /** The first word of the server's command tag. */
  readonly command?: string;
  readonly fields: readonly { readonly name: string; readonly dataTypeID: number }[];
  readonly rows: unknown[][];
}

/** What the work of a write is given, as far as this library knows it. It is the client of the pool: declare yours as `pg.PoolClient`. */
export interface WriteSession {
  // oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- as pg has it
  query<R = Record<string, unknown>>(
    text: string,
    values?: readonly unknown[],
  ): Promise<{ rows: R[]; rowCount: number | null }>;
}
