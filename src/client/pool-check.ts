import { BusError } from '../protocol/errors.ts';
import { askAll, lendClient } from './lent-client.ts';
import type { Pool, PoolClient } from './pool.ts';
import { readReplicaFacts, refuseAurora, type ReplicaFacts } from './session-facts.ts';
import type { Pools } from './source-read.ts';

type PoolName = 'primary' | 'replica';

interface ServerFacts extends ReplicaFacts {
  readonly database: string;
  /** The same on a primary and its standbys, and on nothing else. Undefined where the user may not ask. */
  readonly systemId: string | undefined;
}

const DATABASE = 'SELECT current_database()';
const SYSTEM_ID = 'SELECT system_identifier::text FROM pg_control_system()';

/**
 * Looks at the pools once, when a cache is made. Throws `POSTGRES_POOL_INVALID` for what is no pool, `POSTGRES_POOL_MISDIRECTED` for a pool that leads
 * to the wrong kind of server or to another database than the other, and `REPLICA_UNFIT` for Aurora. Returns what is allowed, but leaves values
 * unstored: a server that cannot be asked now, a replica that does not say its timeline.
 */
export async function checkPools(pools: Pools, signal?: AbortSignal): Promise<BusError[]> {
  const warnings: BusError[] = [];
  const facts = new Map<PoolName, ServerFacts>();
  for (const name of ['primary', 'replica'] as const) {
    const pool = pools[name];
    if (pool === undefined) continue;
    refuseClient(name, pool);
    const found = await lendClient(pool, signal, factsOf).catch((error: unknown) => {
      const late = signal?.aborted === true ? notInTime(name, error) : error;
      if (!(late instanceof BusError) || late.retry !== 'retry') throw late;
      warnings.push(late);
      return undefined;
    });
    if (found !== undefined) facts.set(name, found);
  }
  for (const [name, found] of facts) checkKind(name, found);
  const [primary, replica] = [facts.get('primary'), facts.get('replica')];
  if (primary !== undefined && replica !== undefined) checkSame(primary, replica);
  if (replica !== undefined) refuseAurora(replica);
  if (replica !== undefined && replica.timeline === undefined)
    warnings.push(
      new BusError(
        'REPLICA_UNFIT',
        'The replica does not say which timeline it receives, so that nothing read there is stored: no WAL receiver runs, or the user is no member of pg_read_all_stats.',
      ),
    );
  return warnings;
}

function notInTime(name: PoolName, cause: unknown): BusError {
  return new BusError('POSTGRES_UNREACHABLE', `postgres.${name} did not answer in time to be looked at.`, { cause });
}

/** A client's `connect` opens that one session, and is no way to several. A client of a pool has `release` besides. */
function refuseClient(name: PoolName, pool: Pool): void {
  if (typeof pool?.connect === 'function' && !('processID' in pool) && !('release' in pool)) return;
  throw new BusError('POSTGRES_POOL_INVALID', `postgres.${name} is no pool: new Pool(…) of pg is expected.`);
}

async function factsOf(client: PoolClient): Promise<ServerFacts> {
  const facts = await readReplicaFacts(client);
  const [database] = await askAll(client, DATABASE);
  // Anybody may ask by default; where it was revoked, the systems are not compared.
  const systemId = await askAll(client, SYSTEM_ID).then(
    ([reply]) => reply?.rows[0]?.[0],
    () => undefined,
  );
  return {
    ...facts,
    database: String(database?.rows[0]?.[0]),
    systemId: typeof systemId === 'string' ? systemId : undefined,
  };
}

function checkKind(name: PoolName, { isInRecovery }: ServerFacts): void {
  if (isInRecovery === (name === 'replica')) return;
  throw new BusError(
    'POSTGRES_POOL_MISDIRECTED',
    name === 'primary'
      ? 'postgres.primary leads to a standby (pg_is_in_recovery() is true): pass the pool of the server that takes writes.'
      : 'postgres.replica leads to a primary (pg_is_in_recovery() is false): pass the pool of a standby, or leave it out, and the primary is read.',
  );
}

function checkSame(primary: ServerFacts, replica: ServerFacts): void {
  if (primary.database !== replica.database)
    throw new BusError(
      'POSTGRES_POOL_MISDIRECTED',
      `postgres.primary is of the database "${primary.database}", postgres.replica of "${replica.database}": one is expected.`,
    );
  if (primary.systemId === undefined || replica.systemId === undefined || primary.systemId === replica.systemId) return;
  throw new BusError(
    'POSTGRES_POOL_MISDIRECTED',
    `postgres.replica is no standby of postgres.primary: their system identifiers are ${replica.systemId} and ${primary.systemId}.`,
  );
}
