import { BusError } from '../protocol/errors.ts';
import { ask, askAll, isInDoubt, lendClient } from './lent-client.ts';
import type { Pool, PoolClient } from './pool.ts';

/** How the transaction of a write has ended. `prepared` is what was done before COMMIT; missing where it did not come to that. */
export type WriteEnd<T, P> =
  | { readonly kind: 'committed'; readonly value: T; readonly prepared: P }
  /** Nothing was written. */
  | { readonly kind: 'rolled back'; readonly error: unknown; readonly prepared?: P }
  /** COMMIT was sent, and not answered: the write may be there, or come to be. */
  | { readonly kind: 'unknown'; readonly error: unknown; readonly prepared?: P };

export interface WriteWork<T, P> {
  run(session: PoolClient): Promise<T> | T;
  /** Between the work and COMMIT. Throws nothing. */
  beforeCommit(session: PoolClient, value: T): Promise<P>;
}

/**
 * SHOW takes no snapshot, so that the work may still choose its isolation. It goes with BEGIN in one round trip; a pooler that gives each statement another
 * session refuses BEGIN.
 */
const BEGIN = 'BEGIN; SHOW in_hot_standby';

/**
 * Runs work in a transaction of its own, on a client of the pool. Throws what keeps it from beginning: a coded error of Postgres, or
 * `POSTGRES_POOL_MISDIRECTED` on a standby.
 */
export async function runInTransaction<T, P>(pool: Pool, work: WriteWork<T, P>): Promise<WriteEnd<T, P>> {
  const ends: WriteEnd<T, P>[] = [];
  try {
    await lendClient(pool, undefined, async (session) => {
      await begin(session);
      const end = await runWork(session, work);
      ends.push(end);
      // Thrown to the lender, who closes a client that may be in any state.
      if (end.kind === 'unknown') throw end.error;
      if (end.kind === 'rolled back' && session.getTransactionStatus?.() !== 'I') await ask(session, 'ROLLBACK');
    });
  } catch (error) {
    if (ends.length === 0) throw error;
  }
  return ends[0] as WriteEnd<T, P>;
}

async function begin(session: PoolClient): Promise<void> {
  const [, standby] = await askAll(session, BEGIN);
  if (standby?.rows[0]?.[0] !== 'on') return;
  await ask(session, 'ROLLBACK');
  throw new BusError(
    'POSTGRES_POOL_MISDIRECTED',
    'postgres.primary leads to a standby, which takes no writes: pass the pool of the server that does.',
  );
}

async function runWork<T, P>(session: PoolClient, work: WriteWork<T, P>): Promise<WriteEnd<T, P>> {
  let value: T;
  try {
    value = await work.run(session);
  } catch (error) {
    return { kind: 'rolled back', error };
  }
  // Older releases of pg do not tell: there COMMIT does, where the transaction had failed.
  const status = session.getTransactionStatus?.() ?? 'T';
  if (status === 'E') return { kind: 'rolled back', error: failedWithin() };
  if (status !== 'T')
    return {
      kind: 'unknown',
      error: new BusError(
        'WRITE_OUTCOME_UNKNOWN',
        'The work ended the transaction itself: COMMIT and ROLLBACK are the library’s here.',
      ),
    };
  return commit(session, value, await work.beforeCommit(session, value));
}

async function commit<T, P>(session: PoolClient, value: T, prepared: P): Promise<WriteEnd<T, P>> {
  try {
    const { command } = await ask(session, 'COMMIT');
    // Of a transaction that has failed COMMIT makes a ROLLBACK, and calls it so without an error.
    if (command === 'ROLLBACK') return { kind: 'rolled back', error: failedWithin(), prepared };
    return { kind: 'committed', value, prepared };
  } catch (error) {
    if (!isInDoubt(error)) return { kind: 'rolled back', error, prepared };
    const unknown = new BusError('WRITE_OUTCOME_UNKNOWN', 'The connection was lost during COMMIT.', { cause: error });
    return { kind: 'unknown', error: unknown, prepared };
  }
}

function failedWithin(): BusError {
  return new BusError(
    'WRITE_ROLLED_BACK',
    'A statement of the work had failed, and the work went on as if it had not: Postgres takes such a transaction back.',
  );
}
