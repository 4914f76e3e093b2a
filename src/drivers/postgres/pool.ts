import { Pool } from 'pg';
import { clientConfig } from './client-config.ts';

export interface PoolOptions {
  readonly applicationName: string;
  readonly max: number;
  /** Of a query that is given up only the connection is closed, which the server notices at its end: so long it may go on there. */
  readonly statementTimeoutMs: number;
}

/** A pool for loads by a program of ours. A connection that is lost while nobody uses it is made anew by the next who asks. */
export function openPool(url: string, { applicationName, max, statementTimeoutMs }: PoolOptions): Pool {
  const settings = { statement_timeout: String(statementTimeoutMs) };
  const pool = new Pool({ ...clientConfig(url, { applicationName, settings }), max });
  pool.on('error', () => undefined);
  return pool;
}
