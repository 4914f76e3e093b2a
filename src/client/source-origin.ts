import type { Family } from '../config/bus-config.ts';
import { BusError } from '../protocol/errors.ts';
import type { Evidence } from '../protocol/fill.ts';
import type { KeyType } from '../protocol/key-parameter.ts';
import { isReached, type ReadToken } from '../protocol/read-token.ts';
import type { SourceTemplate } from '../protocol/source-template.ts';
import { sqlStateOf } from '../protocol/sqlstate.ts';
import { ask, lendClient } from './lent-client.ts';
import type { KeyParams, Loaded, LoadRequest, Origin } from './origin.ts';
import type { Pool, PoolClient, QueryReply } from './pool.ts';
import { beginOnReplica, PRIMARY_TIMELINE, type ReplicaFacts, timelineOf } from './session-facts.ts';
import { readSource, type SourceQuery, sourceQuery } from './source-query.ts';

/** The application's pools. */
export interface Pools {
  readonly primary?: Pool;
  /** Without it, `reads: replica` reads the primary. */
  readonly replica?: Pool;
}

export interface SourceOriginOptions {
  readonly family: Pick<Family, 'name' | 'key' | 'source' | 'reads' | 'isList'>;
  readonly pools: Pools;
  /** The types of the key's parameters, in their order, as far as the region's rule text tells (`parseRuleText`). Asked at each load. */
  readonly keyTypes: () => readonly (KeyType | undefined)[];
}

interface Read {
  readonly rows: readonly Row[];
  readonly evidence: Evidence;
}

type Row = Readonly<Record<string, unknown>>;

/**
 * Loads a family by its `source`, on the application's pools.
 *
 *     primary    one statement    the rows, with the timeline of the very session that read them
 *     replica    BEGIN, LSN       how far it has replayed
 *                rows             of a later snapshot, so at least as new
 *                COMMIT
 *
 * In one statement with the rows the LSN would prove nothing: replay goes on between the statement's snapshot and the reading of the LSN. A server of the
 * other kind, or one that does not say its timeline, gives rows without evidence: they are returned, and not stored.
 */
export class SourceOrigin implements Origin {
  readonly #options: SourceOriginOptions;
  readonly #template: SourceTemplate;

  /** Throws `SOURCE_INVALID`, or `POSTGRES_POOL_INVALID` where no pool can serve the family. */
  constructor(options: SourceOriginOptions) {
    const { family, pools } = options;
    this.#options = options;
    this.#template = readSource(family.name, family.source ?? '');
    const needed = family.reads === 'replica' ? (pools.replica ?? pools.primary) : pools.primary;
    if (needed === undefined)
      throw new BusError(
        'POSTGRES_POOL_INVALID',
        `Family "${family.name}" reads its source on the ${family.reads}, and no pool of it was passed.`,
      );
  }

  async load(params: KeyParams, request: LoadRequest): Promise<Loaded> {
    const { family, pools } = this.#options;
    const types = this.#options.keyTypes();
    const named = family.key.parameters.flatMap((name, i): [string, KeyType][] => {
      const type = types[i];
      return type === undefined ? [] : [[name, type]];
    });
    const query = sourceQuery(this.#template, new Map(named), params);
    const onReplica =
      family.reads === 'replica' && pools.replica !== undefined
        ? await readReplica(pools.replica, query, request)
        : undefined;
    const { rows, evidence } = onReplica ?? (await this.#readPrimary(query, request));
    return { value: this.#valueOf(rows), evidence };
  }

  async #readPrimary(query: SourceQuery, request: LoadRequest): Promise<Read> {
    const { primary } = this.#options.pools;
    if (primary === undefined)
      throw new BusError('READ_TOKEN_UNREACHED', 'The replica is behind the read token, and no primary was passed.');
    const read = await readPrimary(primary, query, request.signal);
    if (request.token !== undefined) checkAgainst(request.token, read.evidence);
    return read;
  }

  #valueOf(rows: readonly Row[]): unknown {
    const { family } = this.#options;
    if (family.isList) return rows;
    if (rows.length > 1)
      throw new BusError('SOURCE_ROWS_UNEXPECTED', `The source of family "${family.name}" gave ${rows.length} rows.`, {
        at: `families.${family.name}.source`,
      });
    return rows[0] ?? null;
  }
}

/** The facts join the rows, so that they come also where there is no row. One row stands on the left: the order of those on the right is kept. */
async function readPrimary(pool: Pool, { text, values }: SourceQuery, signal: AbortSignal): Promise<Read> {
  const withFacts = `SELECT f.*, r.* FROM (SELECT ${PRIMARY_TIMELINE}) AS f LEFT JOIN (SELECT true, q.* FROM (${text}\n) AS q) AS r ON true`;
  const reply = await lendClient(pool, signal, (client) => ask(client, withFacts, values));
  const timeline = timelineOf(reply.rows[0]?.[0]);
  const found = reply.rows.filter(([, isRow]) => isRow === true);
  return {
    rows: rowsOf({ fields: reply.fields.slice(2), rows: found.map((row) => row.slice(2)) }),
    evidence: timeline === undefined ? { kind: 'none' } : { kind: 'primary', timeline },
  };
}

/** Undefined where the replica cannot show that it has seen what the token demands. */
async function readReplica(pool: Pool, query: SourceQuery, { signal, token }: LoadRequest): Promise<Read | undefined> {
  return lendClient(pool, signal, async (client) => {
    try {
      const evidence = evidenceOf(await beginOnReplica(client));
      if (token !== undefined && !(evidence.kind === 'replica' && isReached(token, atOf(evidence)))) {
        await ask(client, 'ROLLBACK');
        return undefined;
      }
      const reply = await ask(client, query.text, query.values);
      await ask(client, 'COMMIT');
      return { rows: rowsOf(reply), evidence };
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

function rowsOf({ fields, rows }: Pick<QueryReply, 'fields' | 'rows'>): Row[] {
  return rows.map((row) => Object.fromEntries(fields.map(({ name }, i) => [name, row[i]])));
}
