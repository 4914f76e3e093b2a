import type pg from 'pg';
import type { Pool } from '../../src/client/pool.ts';

/** A pool whose clients do `around` in the place of COMMIT: before, behind or without the real one. */
export function aroundCommit(
  pool: pg.Pool,
  around: (commit: () => Promise<pg.QueryResult>, client: pg.PoolClient) => Promise<unknown>,
): Pool {
  const connect = async (): Promise<pg.PoolClient> => {
    const client = await pool.connect();
    const query = client.query.bind(client) as (...request: unknown[]) => Promise<pg.QueryResult>;
    const release = client.release.bind(client);
    const own = client as { query: unknown; release: unknown };
    own.query = (...request: unknown[]) => {
      const { text } = request[0] as { readonly text?: string };
      return text === 'COMMIT' ? around(() => query(...request), client) : query(...request);
    };
    own.release = (destroy?: boolean) => {
      own.query = query;
      own.release = release;
      release(destroy);
    };
    return client;
  };
  return { connect };
}

/** Cuts the connection, as a network that is gone does. */
export function cut(client: pg.PoolClient): void {
  (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
}
