import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { Pool } from 'pg';
import { type CacheFamily, type CacheOptions, createCache } from '../../../src/index.ts';
import type { Load, OpenOptions, Peer, PeerCache, Row, Settings, Tiers } from '../adapter.ts';
import { type Bus, REGION, startBus, untilApplied } from '../afterwrite-bus.ts';

interface Params {
  readonly kind: string;
  readonly n: string;
}

const ENTRY = `
  select rows.kind || ':' || n as id, rows.version + unwatched.version as version, name
  from rows join unwatched using (kind, n) where kind = $1 and n = $2`;
const LABELLED = `
  select kind || ':' || n as id, tags.version, rows.name, tag
  from rows join tags on tags.name = tag where kind = $1 and n = $2`;
const LSN = `select (pg_current_wal_lsn() - '0/0')::text as bytes`;

/**
 * default: the three lines of the README, "In an application".
 *
 * best: docs/CLIENT.md, "Memory": `local` in the file, and one frozen object for all callers (`localValues`). The rest is on by itself: a
 * deadline a command of 50 ms, single-flight over all processes, a breaker, a bound of loads.
 *
 * Its rows stand in a real Postgres, and its loader reads them there; then it does as the scenario's loader does (it is counted, it takes
 * its time, it throws). It has no call for an invalidation: a row is changed, committed, and the bus evicts. "Done" is when the agent's
 * watermark says so.
 */
async function open({ redisUrl, settings, tiers, beside }: OpenOptions): Promise<PeerCache> {
  const bus = beside as Bus;
  const pool = new Pool({ connectionString: bus.postgresUrl, idleTimeoutMillis: 0 });
  // The loader of a family is given once, those of the scenarios with each get.
  const loads = new Map<string, Load>();
  const loaderOf =
    (query: string) =>
    async (params: Params): Promise<Row | null> => {
      const { rows } = await pool.query<Row>(query, [params.kind, params.n]);
      await loads.get(nameOf(params))?.();
      return rows[0] ?? null;
    };
  const redis = new Redis(redisUrl);
  redis.on('error', () => undefined);

  const cache = await createCache({ config: bus.configPath, region: REGION, redis, ...memoryOf(settings, tiers) });
  const entries = cache.family<Row, Params>('entry', { reads: 'primary', load: loaderOf(ENTRY) });
  const labelled = cache.family<Row, Params>('labelled', { reads: 'primary', load: loaderOf(LABELLED) });

  const change = async (statement: string, parameters: readonly string[]): Promise<void> => {
    const { rowCount } = await pool.query(statement, [...parameters]);
    if (rowCount !== 1) throw new Error(`${rowCount} rows were changed for ${parameters.join(', ')}`);
    const { rows } = await pool.query<{ bytes: string }>(LSN);
    await untilApplied(bus, Number(rows[0]?.bytes));
  };
  for (const family of [entries, labelled]) while (!(await isStored(family))) await sleep(20);
  return {
    get: async (key, load, tags) => {
      const params = paramsOf(key);
      loads.set(nameOf(params), load);
      return (await (tags === undefined ? entries : labelled).get(params)) ?? undefined;
    },
    invalidateKey: (key) => {
      const { kind, n } = paramsOf(key);
      return change('update rows set version = version + 1 where kind = $1 and n = $2', [kind, n]);
    },
    invalidateTag: (tag) => change('update tags set version = version + 1 where name = $1', [tag]),
    changeUntold: async (key) => {
      const { kind, n } = paramsOf(key);
      await pool.query('update unwatched set version = version + 1 where kind = $1 and n = $2', [kind, n]);
    },
    close: async () => {
      await cache.drain();
      await pool.end();
      redis.disconnect();
    },
  };
}

/** Whether a family is stored yet: the region knows its rules. A busy machine may pass the command's deadline; then it is asked again. */
async function isStored(family: CacheFamily<Row, Params>): Promise<boolean> {
  const seen = await family.inspect({ kind: 'opened', n: '0' }).catch(() => undefined);
  return seen !== undefined && seen.readThrough === undefined;
}

function memoryOf(settings: Settings, tiers: Tiers): Partial<CacheOptions> {
  if (settings === 'default') return {};
  return tiers === 'redis' ? { localEntriesMax: 0 } : { localValues: 'shared' };
}

function paramsOf(key: string): Params {
  const [kind = '', n = '0'] = key.split(':');
  return { kind, n };
}

function nameOf({ kind, n }: Params): string {
  return `${kind}:${n}`;
}

export const afterwrite: Peer = {
  name: 'afterwrite',
  packages: ['afterwrite', 'ioredis'],
  settings: { default: 'Redis', best: 'memory (one object for all callers), Redis' },
  cannot: (ability, settings) => {
    if (ability === 'evictionOfItsOwn') return 'the bus evicts, by an agent';
    if (ability === 'tags' || settings === 'best') return undefined;
    return 'nothing is kept in memory until the file says so';
  },
  open,
  startBeside: startBus,
};
