import type pg from 'pg';
import type { Pool, PoolClient } from '../../src/client/pool.ts';

/** A pool whose clients run `between` after their first query has been answered, and before they are asked the second. */
export function heldPool(pool: pg.Pool, between: (client: pg.PoolClient) => Promise<void>): Pool {
  return {
    connect: async () => {
      const client = await pool.connect();
      let isFirst = true;
      const query: PoolClient['query'] = async (request) => {
        const reply = await client.query(request);
        if (isFirst) {
          isFirst = false;
          await between(client);
        }
        return reply;
      };
      return {
        query,
        release: (destroy) => client.release(destroy),
        on: (event, listener) => client.on(event, listener),
        removeListener: (event, listener) => client.removeListener(event, listener),
      };
    },
  };
}
