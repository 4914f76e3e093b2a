import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import type { BusConfig } from '../../src/config/bus-config.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import { connect, type Connection } from '../../src/drivers/postgres/connection.ts';
import { startGuarded, untilReady } from '../../src/stack/guarded-process.ts';
import { freePort, temporaryFolder } from '../../src/stack/place.ts';
import { startPostgres } from '../../src/stack/postgres.ts';
import { LOG_SETTINGS, startRedis } from '../../src/stack/redis.ts';

export const REGION = 'eu';
const PROGRAM = fileURLToPath(new URL('../../src/bin/afterwrite.ts', import.meta.url));

export interface WarmupLab {
  readonly config: BusConfig;
  readonly configPath: string;
  readonly postgresUrl: string;
  readonly redisUrl: string;
  readonly agentUrl: string;
  readonly sql: Connection;
  stop(): Promise<void>;
}

/** Postgres with a table of rows 1 to `rows`, a log in Redis Streams, an empty region, a relay and an agent, each a process of its own. */
export async function startWarmupLab(rows: number, warmup: object = {}): Promise<WarmupLab> {
  const stops: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const one of stops.splice(0).toReversed()) await one();
  };
  try {
    const folder = await temporaryFolder('warmup');
    stops.push(() => folder.remove());
    const postgres = await startPostgres();
    stops.push(() => postgres.stop());
    const log = await startRedis({ settings: LOG_SETTINGS });
    stops.push(() => log.stop());
    // A million of its values are some 300 MB.
    const redis = await startRedis({ settings: { maxmemory: '2gb' } });
    stops.push(() => redis.stop());
    const sql = await connect(postgres.url, { applicationName: 'lab' });
    stops.push(() => sql.close());
    await sql.query('create table public.items (id int primary key, name text not null, n int not null default 0)');
    await sql.query(
      `insert into public.items select i, 'a name of some length, so that the row is near 100 bytes', 0 from generate_series(1, ${rows}) i`,
    );
    await sql.query('vacuum analyze public.items');
    const configPath = join(folder.path, 'afterwrite.yaml');
    const file = {
      bus: 'warm',
      source: { url: postgres.url },
      log: { redisStreams: { url: log.url } },
      regions: { [REGION]: { redis: redis.url } },
      families: {
        item: {
          key: 'item:{id}',
          ttl: '1h',
          source: 'select id, name, n from items where id = {id}',
          on: { items: { id: 'id' } },
        },
        // Its rows are of the statement's beginning, and come a millisecond a key later.
        slow: {
          key: 'slow:{id}',
          ttl: '1h',
          source: 'select id, n, pg_sleep(0.001)::text as slept from items where id = {id}',
          on: { items: { id: 'id' } },
        },
        wrong: {
          key: 'wrong:{id}',
          ttl: '1h',
          source: 'select nothing from items where id = {id}',
          on: { items: { id: 'id' } },
        },
      },
      warmup,
    };
    await writeFile(configPath, stringify(file));
    const setup = await startGuarded(process.execPath, [PROGRAM, 'setup', '--config', configPath]);
    if ((await setup.ended) !== 0) throw new Error(`afterwrite setup failed:\n${setup.lastLines()}`);
    const start = async (args: readonly string[]): Promise<string> => {
      const port = await freePort();
      const child = await startGuarded(process.execPath, [PROGRAM, ...args, '--config', configPath], {
        env: { AFTERWRITE_HTTP_PORT: String(port), AFTERWRITE_HTTP_HOST: '127.0.0.1' },
      });
      stops.push(() => child.stop('SIGKILL'));
      const url = `http://127.0.0.1:${port}`;
      await untilReady(
        args[0] ?? '',
        child,
        async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.ok === true,
      );
      return url;
    };
    const [, agentUrl] = await Promise.all([start(['relay']), start(['agent', '--region', REGION])]);
    const config = await loadConfig([configPath], {}, () => undefined);
    return { config, configPath, postgresUrl: postgres.url, redisUrl: redis.url, agentUrl, sql, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
