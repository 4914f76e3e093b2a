import { BusError } from '../protocol/errors.ts';
import type { Evidence } from '../protocol/fill.ts';
import { isReached, type ReadToken } from '../protocol/read-token.ts';
import { sqlStateOf } from '../protocol/sqlstate.ts';
import { ask, lendClient } from './lent-client.ts';
import type { LoadRequest } from './origin.ts';
import type { Pool, PoolClient, QueryReply } from './pool.ts';
import { beginOnReplica, PRIMARY_TIMELINE, type ReplicaFacts, timelineOf } from './session-facts.ts';
import type { SourceQuery } from './source-query.ts';

/** The application's pools. */
export interface Pools {
  readonly primary?: Pool;
  /** Without it, `reads: replica` reads the primary. */
  readonly replica?: Pool;
}

/** What a statement gave, and what proves of when it read. */
export interface SourceRead {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly unknown[])[];
  readonly evidence: Evidence;
}

/**
 * Reads a statement where a family's source reads.
 *
 *     primary    one statement    the rows, with the timeline of the very session that read them
 *     replica    BEGIN, LSN       how far it has replayed
 *                rows             of a later snapshot, so at least as new
 *                COMMIT
 *
 * In one statement with the rows the LSN would prove nothing: replay goes on between the statement's snapshot and the reading of the LSN. A server of the
 * other kind, or one that does not say its timeline, gives rows without evidence: they are returned, and not stored.
 */
export async function readBySource(
  reads: 'primary' | 'replica',
  pools: Pools,
  query: SourceQuery,
  request: LoadRequest,
): Promise<SourceRead> {
  const { primary, replica } = pools;
  const read = reads === 'replica' && replica !== undefined ? await readReplica(replica, query, request) : undefined;
  if (read !== undefined) return read;
  if (primary === undefined)
    throw new BusError('READ_TOKEN_UNREACHED', 'The replica is behind the read token, and no primary was passed.');
  const ofPrimary = await readPrimary(primary, query, request.signal);
  if (request.token !== undefined) checkAgainst(request.token, ofPrimary.evidence);
  return ofPrimary;
}

/** The facts join the rows, so that they come also where there is no row. One row stands on the left: the order of those on the right is kept. */
async function readPrimary(pool: Pool, { text, values }: SourceQuery, signal: AbortSignal): Promise<SourceRead> {
  const withFacts = `SELECT f.*, r.* FROM (SELECT ${PRIMARY_TIMELINE}) AS f LEFT JOIN (SELECT true, q.* FROM (${text}\n) AS q) AS r ON true`;
  const reply = await lendClient(pool, signal, (client) => ask(client, withFacts, values));
  const timeline = timelineOf(reply.rows[0]?.[0]);
  const found = reply.rows.filter(([, isRow]) => isRow === true);
  return {
    ...partsOf({ fields: reply.fields.slice(2), rows: found.map((row) => row.slice(2)) }),
    evidence: timeline === undefined ? { kind: 'none' } : { kind: 'primary', timeline },
  };
}

/** Undefined where the replica cannot show that it has seen what the token demands. */
async function readReplica(
  pool: Pool,
  query: SourceQuery,
  { signal, token }: LoadRequest,
): Promise<SourceRead | undefined> {
  return lendClient(pool, signal, async (client) => {
    try {
      const evidence = evidenceOf(await beginOnReplica(client));
      if (token !== undefined && !(evidence.kind === 'replica' && isReached(token, atOf(evidence)))) {
        await ask(client, 'ROLLBACK');
        return undefined;
      }
      const reply = await ask(client, query.text, query.values);
      await ask(client, 'COMMIT');
      return { ...partsOf(reply), evidence };
    } catch (error) {
      await endTransaction(client, error);
      throw error;
    }
  });
}

/** After an error that the server answered the session goes on, and must not be given back inside the transaction. */
async function endTransaction(client: PoolClient, error: unknown): Promise<void> {
  if (error instanceof BusError || sqlStateOf(error) !== undefined) await ask(client, 'ROLLBACK');
}

function evidenceOf({ isInRecovery, replayedLsn, timeline }: ReplicaFacts): Evidence {
  if (!isInRecovery || replayedLsn === undefined || timeline === undefined) return { kind: 'none' };
  return { kind: 'replica', timeline, replayedLsn };
}

function atOf({ timeline, replayedLsn }: Evidence & { kind: 'replica' }): ReadToken {
  return { timeline, lsn: replayedLsn };
}

/** A primary has seen every token of its own timeline and of those before; it may have lost commits of the latter in a failover, and nobody has them. */
function checkAgainst(token: ReadToken, evidence: Evidence): void {
  if (evidence.kind === 'primary' && (evidence.timeline ?? 0) >= token.timeline) return;
  const found = evidence.kind === 'primary' ? `one of timeline ${evidence.timeline}` : 'a standby';
  throw new BusError(
    'READ_TOKEN_UNREACHED',
    `The pool of the primary leads to ${found}; the token is of timeline ${token.timeline}.`,
  );
}

function partsOf({ fields, rows }: Pick<QueryReply, 'fields' | 'rows'>): Pick<SourceRead, 'columns' | 'rows'> {
  return { columns: fields.map(({ name }) => name), rows };
}
