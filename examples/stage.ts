// One bus on real servers, for all examples: Postgres, three Redis servers, a relay and an agent.
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import pg from 'pg';
import { type DemoChild, startChild } from '../src/cli/demo/children.ts';
import { setUpQuietly } from '../src/cli/demo/quiet-setup.ts';
import { unlessAborted } from '../src/client/unless-aborted.ts';
import { loadConfig } from '../src/config/load-config.ts';
import { keyspaceOf } from '../src/config/region-keyspace.ts';
import { createCache } from '../src/index.ts';
import { freePort, temporaryFolder } from '../src/stack/place.ts';
import { startPostgres } from '../src/stack/postgres.ts';
import { LOG_SETTINGS, startRedis } from '../src/stack/redis.ts';
import { eventually } from '../test/support/eventually.ts';
import { untilBegun, untilReached } from '../test/support/region-begun.ts';
import type { Example } from './example.ts';

const PROGRAM = fileURLToPath(new URL('../src/bin/afterwrite.ts', import.meta.url));
const EXAMPLE_TIMEOUT_MS = 100_000;
const UNTIL_TIMEOUT_MS = 45_000;

export interface Stage {
  /** Runs one example, for so long as the signal lets it. Rejects where what it shows is not so. */
  run(name: string, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}

export const pathOf = (file: string): string => fileURLToPath(new URL(file, import.meta.url));
const textOf = (file: string): string => readFileSync(pathOf(file), 'utf8');

/** `names`: the folders whose families the bus has. */
export async function openStage(names: readonly string[]): Promise<Stage> {
  const closing: (() => unknown)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).toReversed()) await one();
  };
  try {
    const folder = await temporaryFolder('examples');
    closing.push(() => folder.remove());
    const [postgres, region, log, buffer] = await Promise.all([
      startPostgres(),
      startRedis(),
      startRedis({ settings: LOG_SETTINGS }),
      startRedis({ settings: LOG_SETTINGS }),
    ]);
    let cacheServer = region;
    for (const server of [postgres, log, buffer]) closing.push(() => server.stop());
    closing.push(() => cacheServer.stop());
    const env = { PG_URL: postgres.url, REDIS_EU: region.url, REDIS_LOG: log.url, REDIS_BUFFER: buffer.url };
    Object.assign(process.env, env);

    const pool = new pg.Pool({ connectionString: postgres.url });
    pool.on('error', () => undefined);
    closing.push(() => pool.end());
    const inFolders = (file: string): string[] => names.map((name) => `${name}/${file}`).filter(isThere);
    for (const file of ['schema.sql', ...inFolders('schema.sql')]) await pool.query(textOf(file));
    const config = ['afterwrite.yaml', ...inFolders('families.yaml')].map(pathOf);
    await setUpQuietly(...config);

    // An example that names a file of its own means another bus.
    const withConfig = (args: readonly string[]): string[] =>
      args.includes('--config') ? [...args] : [...args, ...config.flatMap((file) => ['--config', file])];
    let started = 0;
    const start = async (args: readonly string[]): Promise<DemoChild> => {
      const name = `${args[0]}-${(started += 1)}`;
      return startChild({ name, args: withConfig(args), env, folder: folder.path, port: await freePort() });
    };
    // The agent first: it hears the rules that a relay sends as it begins, and then every two seconds.
    for (const args of [['agent', '--region', 'eu'], ['relay']]) {
      const { stop } = await start(args);
      closing.push(stop);
    }
    const redis = new Redis(region.url, { retryStrategy: () => 50 });
    redis.on('error', () => undefined);
    closing.push(() => redis.disconnect());

    const bus = await loadConfig(config, process.env);
    const eu = bus.regions.get('eu');
    if (eu === undefined) throw new Error('The file has no region eu.');
    const keyspace = keyspaceOf(bus, eu);
    const sql = { query: async <T>(text: string) => (await pool.query(text)).rows as T[] };
    const settled = async (): Promise<void> => {
      await untilBegun(redis, keyspace, [...bus.families.keys()]);
      await untilReached(sql, redis, keyspace);
    };

    const run = async (name: string, signal: AbortSignal): Promise<void> => {
      const ending: (() => Promise<unknown>)[] = [];
      const open: Example['open'] = async (options = {}) => {
        const cache = await createCache({
          config,
          region: 'eu',
          redis,
          postgres: { primary: pool },
          // A busy machine is no Redis that is away; and what an example has written may be stored once it is settled.
          commandTimeoutMs: 2000,
          settleWaitMs: 2000,
          ...options,
        });
        ending.push(() => cache.drain());
        return cache;
      };
      await pool.query(textOf('rows.sql'));
      await settled();
      try {
        const { default: show } = (await import(`./${name}/example.ts`)) as { default: (e: Example) => Promise<void> };
        const showing = show({
          config,
          cache: await open(),
          pool,
          redis,
          open,
          start: async (...args) => {
            const child = await start(args);
            ending.push(() => child.stop());
          },
          run: async (...args) => {
            const ended = await promisify(execFile)(process.execPath, [PROGRAM, ...withConfig(args)]);
            return ended.stdout;
          },
          settled,
          killRedis: async () => cacheServer.process?.stop('SIGKILL'),
          restartRedis: async () => {
            await cacheServer.stop();
            cacheServer = await startRedis({ port: region.port });
            await settled();
          },
          until: <T>(what: string, probe: () => T | Promise<T>) =>
            eventually(what, probe, UNTIL_TIMEOUT_MS) as Promise<Exclude<T, undefined | null | false>>,
        });
        await unlessAborted(showing, AbortSignal.any([signal, AbortSignal.timeout(EXAMPLE_TIMEOUT_MS)]));
      } finally {
        await Promise.all(ending.map((end) => end()));
      }
    };
    return { run, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function isThere(file: string): boolean {
  return existsSync(pathOf(file));
}
