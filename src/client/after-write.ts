import { BusError } from '../protocol/errors.ts';
import { classify, sqlStateOf } from '../protocol/sqlstate.ts';
import { lsnFromPostgres } from '../protocol/lsn.ts';
import type { ReadToken } from '../protocol/read-token.ts';
import { ask } from './lent-client.ts';
import type { Queryable } from './pool.ts';
import { PRIMARY_TIMELINE, timelineOf } from './session-facts.ts';

/**
 * A commit that has been answered lies below the flushed LSN, except where the session does not wait for the disk: there only the LSN of the next record
 * is above it. Outside a transaction a statement sent by the simple protocol is its own transaction, and began with it; in the extended
 * protocol the two times differ always.
 */
const POSITION = `
  SELECT ${PRIMARY_TIMELINE},
         CASE WHEN pg_is_in_recovery() THEN NULL
              WHEN $synchronous AND current_setting('synchronous_commit') <> 'off' THEN pg_current_wal_flush_lsn()
              ELSE pg_current_wal_insert_lsn() END::text,
         now() = statement_timestamp() AND pg_current_xact_id_if_assigned() IS NULL`;

/** SQLSTATE of any statement after an error inside a transaction. */
const FAILED_TRANSACTION = '25P02';

export interface AfterWriteOptions {
  /** Set it where the write set synchronous_commit off for itself alone (SET LOCAL), which another session cannot see. Default false. */
  readonly asynchronousCommit?: boolean;
}

/**
 * The token of everything that was committed before the call: the write's own client after its COMMIT, or any pool of the primary. Throws
 * `POSTGRES_IN_TRANSACTION` before the COMMIT, and `POSTGRES_POOL_MISDIRECTED` on a standby.
 */
export async function readTokenAfterWrite(on: Queryable, options: AfterWriteOptions = {}): Promise<ReadToken> {
  const text = POSITION.replace('$synchronous', options.asynchronousCommit === true ? 'false' : 'true');
  const { rows } = await ask(on, text).catch((error: unknown) => {
    throw sqlStateOf(error) === FAILED_TRANSACTION ? inTransaction(error) : classify(error, 'query');
  });
  const [hex, lsn, isOutside] = rows[0] ?? [];
  const timeline = timelineOf(hex);
  if (isOutside !== true) throw inTransaction();
  if (timeline === undefined || typeof lsn !== 'string')
    throw new BusError(
      'POSTGRES_POOL_MISDIRECTED',
      'afterWrite was given a session of a standby, which takes no writes.',
    );
  return { timeline, lsn: lsnFromPostgres(lsn) };
}

function inTransaction(cause?: unknown): BusError {
  return new BusError(
    'POSTGRES_IN_TRANSACTION',
    'afterWrite was called before COMMIT: no position can be told yet that the write will lie below.',
    cause === undefined ? {} : { cause },
  );
}
