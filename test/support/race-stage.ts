import pg from 'pg';
import { Redis } from 'ioredis';
import type { Cache } from '../../src/client/cache.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { keyspaceOf } from '../../src/config/region-keyspace.ts';
import { cellOf, hashKey } from '../../src/protocol/key-hash.ts';
import type { Keyspace } from '../../src/protocol/keyspace.ts';
import { parseSlot, type Slot } from '../../src/protocol/value-slot.ts';
import { eventually } from './eventually.ts';
import { openRaceCache, type Wraps } from './race-cache.ts';
import { type ReadRecords, untilBegun, untilReached } from './region-begun.ts';
import { openStage, type Stage } from './stage.ts';

const PARTITIONS = 2;
const SCHEMA = `
create table public.users (id bigint primary key, name text not null);
create table public.quotes (id bigint primary key, name text not null);
create table public.probes (n int);
`;
const on = { users: { id: 'id' } };
const FAMILIES = {
  user: { key: 'user:{id}', ttl: '10m', source: 'select name from users where id = {id}', on },
  copy: { key: 'copy:{id}', ttl: '10m', source: 'select name from users where id = {id}', reads: 'replica', on },
  // No rule names its table: only an operator knows when it is old.
  quote: { key: 'quote:{id}', ttl: '10m', source: 'select name from quotes where id = {id}', on },
};

interface Row {
  readonly name: string;
}
export interface StaleCount {
  /** Values in Redis that are older than what was invalidated. */
  readonly stored: number;
  /** Of the reads after it, those that were given such a value. */
  readonly served: number;
}
export const NONE: StaleCount = { stored: 0, served: 0 };

/** Postgres, Redis, relay and agent, each a process of its own, and keys that a race is about: new rows for each. */
export class RaceStage {
  readonly stage: Stage;
  readonly keyspace: Keyspace;
  readonly primary: pg.Pool;
  readonly replica: pg.Pool | undefined;
  readonly redisUrl: string;
  /** A connection of the test to where the region's Redis is reached. */
  readonly redis: Redis;
  readonly #config: Awaited<ReturnType<typeof loadConfig>>;
  readonly #closing: (() => Promise<unknown>)[] = [];
  #rows = 0;

  /** The agent's process: to be stopped and let go by signals. */
  agentPid = 0;

  private constructor(stage: Stage, config: Awaited<ReturnType<typeof loadConfig>>, redisUrl: string) {
    const region = config.regions.get('eu');
    if (region === undefined) throw new Error('The file has no region eu.');
    this.stage = stage;
    this.#config = config;
    this.redisUrl = redisUrl;
    this.redis = new Redis(redisUrl);
    this.redis.on('error', () => undefined);
    this.keyspace = keyspaceOf(config, region);
    this.primary = new pg.Pool({ connectionString: stage.url, max: 40 });
    const { replicaUrl } = stage.postgres;
    this.replica = replicaUrl === undefined ? undefined : new pg.Pool({ connectionString: replicaUrl, max: 40 });
    for (const pool of [this.primary, this.replica]) pool?.on('error', () => undefined);
  }

  /** `redisUrl`: where the region's Redis is reached, if it is not the stage's own. */
  static async open(
    options: { readonly replica?: boolean; readonly through?: (port: number) => Promise<number> } = {},
  ) {
    const stage = await openStage({
      log: 'redis-streams',
      schema: SCHEMA,
      families: FAMILIES,
      partitions: PARTITIONS,
      replica: options.replica ?? false,
    });
    try {
      const port = (await options.through?.(stage.cache.port)) ?? stage.cache.port;
      const url = `redis://127.0.0.1:${port}`;
      const path = await stage.withUrls((text) => text.replaceAll(stage.cache.url, url));
      // The agent first: so it meets the first record of the log, in which the rules are.
      const agent = await stage.startAgent('agent', path);
      await stage.startRelay('relay', path);
      const race = new RaceStage(stage, await loadConfig([path], {}), url);
      race.agentPid = agent.pid;
      await race.hasBegun();
      return race;
    } catch (error) {
      await stage.close();
      throw error;
    }
  }

  /** Waits until every cell has begun and knows the rules of all families. */
  hasBegun(redis: ReadRecords = this.redis): Promise<void> {
    return untilBegun(redis, this.keyspace, Object.keys(FAMILIES));
  }

  /** Waits until every cell has applied all that was committed until now, and one record more, behind it. */
  reached(): Promise<void> {
    return untilReached(this.stage.sql, this.redis, this.keyspace);
  }

  /** New rows in both tables, all named `old`, with keys that could be stored. */
  async rows(count: number): Promise<number[]> {
    const ids = Array.from({ length: count }, (_, i) => this.#rows + 1 + i);
    this.#rows += count;
    for (const table of ['users', 'quotes'])
      await this.primary.query(`insert into ${table} select unnest($1::bigint[]), 'old'`, [ids]);
    if (this.replica !== undefined)
      await eventually('the replica has the rows', async () => {
        const found = await this.replica?.query('select from users where id = any($1)', [ids]);
        return found?.rowCount === count;
      });
    // Else their own beginning would evict what is stored first.
    await this.reached();
    await this.#storable(ids);
    return ids;
  }

  /** Stores the values of keys that nothing fences. */
  async fill(name: string, ids: readonly number[]): Promise<void> {
    const { cache, close } = await this.cache();
    const family = cache.family<Row>(name);
    await eventually(`the keys of ${name} are stored`, async () => {
      await Promise.all(ids.map((id) => family.get({ id })));
      const known = await Promise.all(ids.map((id) => family.peek({ id })));
      return known.every((value) => value !== undefined);
    });
    await close();
  }

  /** Waits until the rows' own beginning fences nothing any more: until a reader could store each key. */
  async #storable(ids: readonly number[]): Promise<void> {
    for (const name of Object.keys(FAMILIES)) {
      await this.fill(name, ids);
      await Promise.all(ids.map((id) => this.redis.unlink(this.#at(`${name}:${id}`))));
    }
  }

  async cache(wraps: Wraps = {}): Promise<{ cache: Cache; close(): Promise<void> }> {
    const { primary, replica, redisUrl } = this;
    const opened = await openRaceCache(
      { config: this.#config, redisUrl, primary, ...(replica === undefined ? {} : { replica }) },
      wraps,
    );
    this.#closing.push(opened.close);
    return opened;
  }

  update(table: 'users' | 'quotes', ids: readonly number[]): Promise<unknown> {
    return this.primary.query(`update ${table} set name = 'new' where id = any($1)`, [ids]);
  }

  /** A COMMIT waits for a standby that does not answer: it is in the log, hence decoded, but no snapshot shows it. */
  async holdCommits(isHeld: boolean): Promise<void> {
    const { sql } = this.stage;
    await sql.query(
      isHeld ? `alter system set synchronous_standby_names = 'nobody'` : 'alter system reset synchronous_standby_names',
    );
    await sql.query('select pg_reload_conf()');
    // That a session knows the setting says nothing: it is the checkpointer by which commits wait.
    if (isHeld) await eventually('a commit is held', () => this.#holdsCommit());
  }

  /** Tries a commit. One that is held is let go by a cancel, and is visible then. */
  async #holdsCommit(): Promise<boolean> {
    const client = await this.primary.connect();
    try {
      const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid');
      const pid = rows[0]?.pid ?? 0;
      let isOver = false;
      const commit = client.query('insert into probes values (1)').finally(() => (isOver = true));
      for (;;) {
        const [activity] = await this.stage.sql.query<{ waits: string | null }>(
          `select wait_event as waits from pg_stat_activity where pid = ${pid}`,
        );
        if (activity?.waits === 'SyncRep') {
          await this.stage.sql.query(`select pg_cancel_backend(${pid})`);
          await commit;
          return true;
        }
        if (isOver) return false;
      }
    } finally {
      client.release();
    }
  }

  /** As if the families' marks had no LSN, as those of an epoch without a floor. */
  async forgetMarks(): Promise<void> {
    for (let cell = 0; cell < PARTITIONS; cell++)
      for (const name of Object.keys(FAMILIES)) {
        const mark = await this.redis.hget(this.keyspace.state(cell), `f:${name}`);
        if (mark !== null)
          await this.redis.hset(this.keyspace.state(cell), `f:${name}`, mark.replace(/:.*/, `:${'0'.repeat(16)}`));
      }
  }

  async slots(family: string, ids: readonly number[], redis: Pick<Redis, 'get'> = this.redis): Promise<Slot[]> {
    const texts = await Promise.all(ids.map((id) => redis.get(this.#at(`${family}:${id}`))));
    return texts.flatMap((text) => (text === null ? [] : [parseSlot(text)]));
  }

  /** Waits until nothing stands under the keys: no value, and no lease. */
  async evicted(family: string, ids: readonly number[]): Promise<void> {
    await eventually('every key is evicted', async () => (await this.slots(family, ids)).length === 0);
  }

  /** Once the new rows are visible where the family is read: how much of the old ones is left, and given out. */
  async stale(family: string, ids: readonly number[], redis: Pick<Redis, 'get'> = this.redis): Promise<StaleCount> {
    const isOld = (slot: Slot): boolean => slot.kind === 'value' && slot.payload === '{"name":"old"}';
    const stored = (await this.slots(family, ids, redis)).filter(isOld).length;
    const { cache, close } = await this.cache();
    const read = cache.family<Row>(family);
    const values = await Promise.all(ids.map((id) => read.get({ id })));
    await close();
    return { stored, served: values.filter((value) => value?.name !== 'new').length };
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#closing.map((close) => close()));
    await Promise.allSettled([this.primary.end(), this.replica?.end()]);
    this.redis.disconnect();
    await this.stage.close();
  }

  #at(key: string): string {
    return this.keyspace.valueKey(key, cellOf(hashKey(key), PARTITIONS));
  }
}
