import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { stringify } from 'yaml';
import { createAdmin } from '../../drivers/kafka/admin.ts';
import { hotTopicOf } from '../../drivers/kafka/hot-topic.ts';
import { connect, type Connection } from '../../drivers/postgres/connection.ts';
import { connectRedis } from '../../drivers/redis/connection.ts';
import { isBusError } from '../../protocol/errors.ts';
import { loadConfig } from '../../config/load-config.ts';
import { freePort } from '../../stack/place.ts';
import { type DemoChild, startChild } from './children.ts';
import type { DemoServers } from './servers.ts';
import { setUpQuietly } from './quiet-setup.ts';

/** How long a walsender may go on after its relay has ended. */
const SLOT_WAIT_MS = 5000;

/** A bus of the demo's own, with a name that is used once: on servers that were given it stands beside what is there. */
export interface DemoBus {
  readonly name: string;
  readonly configPath: string;
  readonly databaseUrl: string;
  readonly children: readonly DemoChild[];
  /** Writes its file, makes its database, and sets it up. */
  prepare(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Removes what it left on servers that were given. */
  removeTraces(): Promise<void>;
}

/** What is cached, of which database. */
export interface DemoPlan {
  readonly schema: string;
  /** Sections of the file, beside its servers. */
  readonly file: object;
}

export function createBus(servers: DemoServers, folder: string, plan: DemoPlan): DemoBus {
  const id = randomBytes(3).toString('hex');
  const name = `demo-${id}`;
  const database = `afterwrite_demo_${id}`;
  const databaseUrl = withDatabase(servers.postgres.url, database);
  const replicaUrl =
    servers.postgres.replicaUrl === undefined ? undefined : withDatabase(servers.postgres.replicaUrl, database);
  const configPath = join(folder, 'afterwrite.yaml');
  const children: DemoChild[] = [];
  const start = async (program: string, args: readonly string[]): Promise<void> => {
    const child = await startChild({
      name: program,
      args: [...args, '--config', configPath],
      env: {},
      folder,
      port: await freePort(),
    });
    children.push(child);
  };
  return {
    name,
    configPath,
    databaseUrl,
    children,
    prepare: async () => {
      // URLs that were given hold passwords, and others may look into the folder.
      await writeFile(configPath, fileText(fileOf(name, databaseUrl, replicaUrl, servers, plan)), { mode: 0o600 });
      await createDatabase(servers.postgres.url, database, databaseUrl, plan.schema);
      await setUpQuietly(configPath);
    },
    start: async () => {
      const starts = [
        start('relay', ['relay']),
        ...[...servers.caches.keys()].map((region) => start(`agent-${region}`, ['agent', '--region', region])),
      ];
      await Promise.allSettled(starts);
      await Promise.all(starts);
    },
    stop: async () => {
      await Promise.all(children.splice(0).map((child) => child.stop()));
    },
    removeTraces: () => removeTraces(servers, name, database, configPath),
  };
}

/** Asks the servers that were given, before anything is made on one of them. */
export async function reachGiven({ postgres, caches, log }: DemoServers): Promise<void> {
  if (postgres.primary === undefined) await withPostgres(postgres.url, (sql) => sql.query('select 1'));
  const redis = [...caches.values(), ...(log.kind === 'redis-streams' ? [log.server] : [])];
  for (const { url, process } of redis)
    if (process === undefined) (await connectRedis(url, { name: 'afterwrite-demo' })).disconnect();
  if (log.kind !== 'kafka' || log.server.process !== undefined) return;
  const { brokers } = log.server;
  const admin = await createAdmin({ ...ANY_TOPIC, brokers }, 'afterwrite-demo');
  await admin.close();
}

/** Asks for nothing but the brokers. */
const ANY_TOPIC = {
  kind: 'kafka',
  topic: 'afterwrite',
  partitions: 1,
  replicationFactor: 1,
  retentionMs: 0,
  ssl: false,
} as const;

function withDatabase(serverUrl: string, database: string): string {
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  return url.href;
}

/** A "${" in a password is no variable. (Given as a text, "$$" would stand for one "$".) */
function fileText(file: unknown): string {
  return stringify(file).replaceAll('${', () => '$${');
}

function fileOf(
  name: string,
  url: string,
  replicaUrl: string | undefined,
  { caches, log }: DemoServers,
  { file }: DemoPlan,
): unknown {
  const replicas = replicaUrl === undefined ? [] : [replicaUrl];
  return {
    bus: name,
    source: { url },
    log: log.kind === 'kafka' ? { kafka: { brokers: log.server.brokers } } : { redisStreams: { url: log.server.url } },
    regions: Object.fromEntries(
      [...caches].map(([region, { url: redis }], i) => [region, { redis, ...(i === 0 ? { replicas } : {}) }]),
    ),
    ...file,
  };
}

async function createDatabase(serverUrl: string, database: string, databaseUrl: string, schema: string): Promise<void> {
  await withPostgres(serverUrl, (server) => server.query(`create database ${database}`));
  await withPostgres(databaseUrl, (shop) => shop.query(schema));
}

async function withPostgres(url: string, body: (sql: Connection) => Promise<unknown>): Promise<void> {
  const sql = await connect(url, { applicationName: 'afterwrite-demo' });
  try {
    await body(sql);
  } finally {
    await sql.close();
  }
}

/** The relay has ended, but its walsender holds the slot for a moment longer. */
async function dropSlots(server: Connection, database: string): Promise<void> {
  const until = Date.now() + SLOT_WAIT_MS;
  const active = 'select 1 from pg_replication_slots where active and database = $1';
  while ((await server.query(active, [database])).length > 0 && Date.now() < until) await setTimeout(20);
  await server.query('select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = $1', [
    database,
  ]);
}

/** What cannot be removed in one place keeps nothing in another. Throws the first failure. */
async function removeTraces(servers: DemoServers, name: string, database: string, configPath: string): Promise<void> {
  const { postgres, caches, log } = servers;
  const removals: Promise<void>[] = [];
  if (postgres.primary === undefined)
    removals.push(
      withPostgres(postgres.url, async (server) => {
        await dropSlots(server, database);
        await server.query(`drop database if exists ${database} with (force)`);
      }),
    );
  for (const cache of caches.values())
    if (cache.process === undefined) removals.push(removeKeys(cache.url, [`${name}:*`, `afterwrite:${name}:*`]));
  if (log.server.process === undefined)
    removals.push(
      log.kind === 'redis-streams' ? removeKeys(log.server.url, [`afterwrite:${name}:*`]) : removeTopic(configPath),
    );
  await Promise.allSettled(removals);
  await Promise.all(removals);
}

async function removeTopic(configPath: string): Promise<void> {
  const config = await loadConfig([configPath], process.env);
  if (config.log.kind !== 'kafka') return;
  for (const topic of [config.log, hotTopicOf(config.log)]) {
    const admin = await createAdmin(topic, 'afterwrite-demo');
    try {
      await admin.describe();
      await admin.remove();
    } catch (error) {
      // It was ended before the topic was made.
      if (!isBusError(error, 'KAFKA_TOPIC_MISSING')) throw error;
    } finally {
      await admin.close();
    }
  }
}

async function removeKeys(url: string, globs: readonly string[]): Promise<void> {
  const redis = await connectRedis(url, { name: 'afterwrite-demo' });
  for (const glob of globs) {
    for await (const keys of redis.scanStream({ match: glob, count: 500 }) as AsyncIterable<string[]>)
      if (keys.length > 0) await redis.unlink(...keys);
  }
  redis.disconnect();
}
