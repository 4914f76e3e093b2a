import { ask, lendClient } from './lent-client.ts';
import type { Pool } from './pool.ts';

/** A transaction that takes longer is given up, and its connection closed. */
const TRANSACTION_MAX_MS = 60_000;

type Statement = (text: string, values: readonly string[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Runs a body in one transaction of a client of the application's pool, and commits. Rejects with a coded error, or with what the body throws of its own. */
export function transactionsOf(pool: Pool): <T>(body: (sql: Statement) => Promise<T>) => Promise<T> {
  return (body) =>
    lendClient(pool, AbortSignal.timeout(TRANSACTION_MAX_MS), async (client) => {
      const sql: Statement = async (text, values) => {
        const { fields, rows } = await ask(client, text, values);
        return rows.map((row) => Object.fromEntries(fields.map(({ name }, i) => [name, row[i]])));
      };
      await sql('BEGIN ISOLATION LEVEL READ COMMITTED', []);
      try {
        const result = await body(sql);
        await sql('COMMIT', []);
        return result;
      } catch (error) {
        // A connection that is lost has rolled back by itself, and says here what it has said already.
        await sql('ROLLBACK', []).catch(() => undefined);
        throw error;
      }
    });
}
