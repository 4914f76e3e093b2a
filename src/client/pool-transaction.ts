import { ask, lendClient } from './lent-client.ts';
import type { Pool } from './pool.ts';

/**
 * A transaction that waits longer for a client, or for an answer, is given up, and its connection closed. Together its statements may take longer: of a batch
 * whose rows are all refused each is written by itself, and given up half way it would be begun anew for ever.
 */
const ANSWER_MAX_MS = 60_000;

type Statement = (text: string, values: readonly string[]) => Promise<readonly Readonly<Record<string, unknown>>[]>;

/** Runs a body in one transaction of a client of the application's pool, and commits. Rejects with a coded error, or with what the body throws of its own. */
export function transactionsOf(pool: Pool): <T>(body: (sql: Statement) => Promise<T>) => Promise<T> {
  return async (body) => {
    const given = new AbortController();
    const late = (): void => given.abort(new DOMException('Postgres has not answered in time.', 'TimeoutError'));
    let timer: NodeJS.Timeout | undefined;
    const wait = (): void => {
      clearTimeout(timer);
      if (!given.signal.aborted) timer = setTimeout(late, ANSWER_MAX_MS).unref();
    };
    wait();
    try {
      return await lendClient(pool, given.signal, async (client) => {
        const sql: Statement = async (text, values) => {
          wait();
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
    } finally {
      clearTimeout(timer);
    }
  };
}
