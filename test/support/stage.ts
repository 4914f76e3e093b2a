import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { type DemoChild, startChild } from '../../src/cli/demo/children.ts';
import { setUpQuietly } from '../../src/cli/demo/quiet-setup.ts';
import { loadConfig } from '../../src/config/load-config.ts';
import type { BusConfig } from '../../src/config/bus-config.ts';
import { type Connection, connect } from '../../src/drivers/postgres/connection.ts';
import { connectRedis, type RedisConnection } from '../../src/drivers/redis/connection.ts';
import { startKafka } from '../../src/stack/kafka.ts';
import { freePort } from '../../src/stack/place.ts';
import type { PostgresMajor } from '../../src/stack/postgres-programs.ts';
import { type PostgresServer, startPostgres } from '../../src/stack/postgres.ts';
import { LOG_SETTINGS, type RedisServer, startRedis } from '../../src/stack/redis.ts';

export interface StageOptions {
  readonly log: 'kafka' | 'redis-streams';
  readonly major?: PostgresMajor;
  /** Run before the publication is made. */
  readonly schema: string;
  readonly families: unknown;
  readonly tags?: unknown;
  readonly limits?: unknown;
  readonly partitions?: number;
  /** A streaming replica of Postgres, which the region lists as one that its readers load from. */
  readonly replica?: boolean;
}

/** Real servers for one test file, a bus on them, and the programs as processes of their own. */
export interface Stage {
  readonly postgres: PostgresServer;
  readonly cache: RedisServer;
  readonly redis: RedisConnection;
  readonly sql: Connection;
  readonly url: string;
  readonly configPath: string;
  readonly config: BusConfig;
  readonly partitions: number;
  /** A copy of the file with some URLs replaced: a proxy in place of a server. */
  withUrls(replace: (text: string) => string): Promise<string>;
  startRelay(
    name: string,
    configPath?: string,
    env?: Readonly<Record<string, string>>,
  ): Promise<DemoChild & { readonly httpPort: number }>;
  startAgent(name: string, configPath?: string): Promise<DemoChild & { readonly httpPort: number }>;
  /** `file`: the module with the application's loaders. */
  startWorker(name: string, file: string, configPath?: string): Promise<DemoChild & { readonly httpPort: number }>;
  /** The last lines that each child has logged, for the message of a failing test. */
  logTails(lines: number): Promise<string>;
  /** Kills a child without a word, as kill -9 does. */
  kill(child: DemoChild): Promise<void>;
  close(): Promise<void>;
}

export const SHOP = `
create table public.orgs (id bigint primary key, name text not null);
create table public.users (id bigint primary key, org_id bigint, name text not null);
`;
export const SHOP_FAMILIES = {
  user: { key: 'user:{id}', ttl: '10m', on: { users: { id: 'id' } } },
  'org-members': { key: 'org:{org_id}:members', ttl: '10m', on: { users: { org_id: 'org_id' } } },
};

export async function openStage(options: StageOptions): Promise<Stage> {
  const partitions = options.partitions ?? 4;
  const closing: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const one of closing.splice(0).toReversed()) await one();
  };
  try {
    const [postgres, cache, log] = await Promise.all([
      startPostgres({
        replica: options.replica ?? false,
        ...(options.major === undefined ? {} : { major: options.major }),
      }),
      startRedis(),
      options.log === 'kafka' ? startKafka() : startRedis({ settings: LOG_SETTINGS }),
    ]);
    for (const server of [postgres, cache, log]) closing.push(() => server.stop());
    const folder = await mkdtemp(join(tmpdir(), 'afterwrite-stage-'));
    closing.push(() => rm(folder, { recursive: true, force: true }));
    const sql = await connect(postgres.url, { applicationName: 'test', statementTimeoutMs: 120_000 });
    closing.push(() => sql.close().catch(() => undefined));
    await sql.query('set search_path = public');
    await sql.query(options.schema);
    const bus = `t${randomBytes(3).toString('hex')}`;
    const configPath = join(folder, 'afterwrite.yaml');
    const text = stringify({
      bus,
      prefix: '',
      source: { url: postgres.url },
      log:
        'brokers' in log
          ? { kafka: { brokers: log.brokers, partitions } }
          : { redisStreams: { url: log.url, partitions } },
      regions: {
        eu: {
          redis: cache.url,
          ...(postgres.replicaUrl === undefined ? {} : { replicas: [postgres.replicaUrl] }),
        },
      },
      families: options.families,
      ...(options.tags === undefined ? {} : { tags: options.tags }),
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    });
    await writeFile(configPath, text);
    await setUpQuietly(configPath);
    const redis = await connectRedis(cache.url, { name: 'test' });
    closing.push(() => Promise.resolve(redis.disconnect()));
    const children = new Set<DemoChild>();
    closing.push(() => Promise.all([...children].map((child) => child.stop())));
    const start = async (
      name: string,
      args: readonly string[],
      path: string,
      env: Readonly<Record<string, string>> = {},
    ): Promise<DemoChild & { readonly httpPort: number }> => {
      const httpPort = await freePort();
      const child = {
        ...(await startChild({ name, args: [...args, '--config', path], env, folder, port: httpPort })),
        httpPort,
      };
      children.add(child);
      return child;
    };
    let copies = 0;
    return {
      postgres,
      cache,
      redis,
      sql,
      url: postgres.url,
      configPath,
      config: await loadConfig([configPath], {}),
      partitions,
      withUrls: async (replace) => {
        const path = join(folder, `copy-${(copies += 1)}.yaml`);
        await writeFile(path, replace(text));
        return path;
      },
      startRelay: (name, path = configPath, env = {}) => start(name, ['relay'], path, env),
      startAgent: (name, path = configPath) => start(name, ['agent', '--region', 'eu'], path),
      startWorker: (name, file, path = configPath) => start(name, ['worker', file, '--region', 'eu'], path),
      logTails: async (lines) => {
        const names = (await readdir(folder)).filter((name) => name.endsWith('.log'));
        const tails = names.map(async (name) => {
          const all = (await readFile(join(folder, name), 'utf8')).trimEnd().split('\n');
          return `--- ${name}\n${all.slice(-lines).join('\n')}`;
        });
        return (await Promise.all(tails)).join('\n');
      },
      kill: async (child) => {
        children.delete(child);
        process.kill(child.pid, 'SIGKILL');
        await child.failed.catch(() => undefined);
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** A metric of a child, by its name and labels as Prometheus prints them; undefined before it is there. */
export async function metricOf(
  httpPort: number,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<number | undefined> {
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
  const text = await (await fetch(`http://127.0.0.1:${httpPort}/metrics`)).text();
  const isNamed = (line: string): boolean => line.startsWith(`${name} `) || line.startsWith(`${name}{`);
  const line = text.split('\n').find((one) => isNamed(one) && wanted.every((label) => one.includes(label)));
  return line === undefined ? undefined : Number(line.split(' ').at(-1));
}
