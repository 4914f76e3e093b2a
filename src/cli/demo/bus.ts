import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { stringify } from 'yaml';
import { createAdmin } from '../../drivers/kafka/admin.ts';
import { connect, type Connection } from '../../drivers/postgres/connection.ts';
import { connectRedis } from '../../drivers/redis/connection.ts';
import { loadConfig } from '../../config/load-config.ts';
import { freePort } from '../../stack/place.ts';
import { type DemoChild, startChild } from './children.ts';
import type { DemoServers } from './servers.ts';
import { REGIONS } from './servers.ts';
import { setUpQuietly } from './quiet-setup.ts';
import { SHOP_SCHEMA } from './shop.ts';

/** How long a walsender may go on after its relay has ended. */
const SLOT_WAIT_MS = 5000;

/** A bus of the demo's own, with a name that is used once: on servers that were given it stands beside what is there. */
export interface DemoBus {
  readonly name: string;
  readonly configPath: string;
  readonly databaseUrl: string;
  readonly children: readonly DemoChild[];
  start(): Promise<void>;
  stop(): Promise<void>;
  /** Removes what it left on servers that were given. */
  removeTraces(): Promise<void>;
}

export async function prepareBus(servers: DemoServers, folder: string): Promise<DemoBus> {
  const id = randomBytes(3).toString('hex');
  const name = `demo-${id}`;
  const database = `afterwrite_demo_${id}`;
  const databaseUrl = await createShop(servers.postgres.url, database);
  const configPath = join(folder, 'afterwrite.yaml');
  await writeFile(configPath, stringify(fileOf(name, databaseUrl, servers)));
  await setUpQuietly(configPath);
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
    start: async () => {
      const starts = [
        start('relay', ['relay']),
        ...REGIONS.map((region) => start(`agent-${region}`, ['agent', '--region', region])),
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

function fileOf(name: string, url: string, { postgres, caches, log }: DemoServers): unknown {
  const replicas = postgres.replicaUrl === undefined ? [] : [postgres.replicaUrl];
  return {
    bus: name,
    source: { url },
    log: log.kind === 'kafka' ? { kafka: { brokers: log.server.brokers } } : { redisStreams: { url: log.server.url } },
    regions: Object.fromEntries(
      REGIONS.map((region, i) => [region, { redis: caches.get(region)?.url, ...(i === 0 ? { replicas } : {}) }]),
    ),
    families: {
      user: { key: 'user:{id}', ttl: '10m', on: { users: { id: 'id' } }, tags: ['org:{org_id}'] },
      'org-members': { key: 'org:{org_id}:members', ttl: '10m', on: { users: { org_id: 'org_id' } } },
    },
    tags: { 'org:{id}': { on: { orgs: { id: 'id' } } } },
  };
}

async function createShop(serverUrl: string, database: string): Promise<string> {
  const server = await connect(serverUrl, { applicationName: 'afterwrite-demo' });
  try {
    await server.query(`create database ${database}`);
  } finally {
    await server.close();
  }
  const url = new URL(serverUrl);
  url.pathname = `/${database}`;
  const shop = await connect(url.href, { applicationName: 'afterwrite-demo' });
  try {
    await shop.query(SHOP_SCHEMA);
    return url.href;
  } finally {
    await shop.close();
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

async function removeTraces(servers: DemoServers, name: string, database: string, configPath: string): Promise<void> {
  if (servers.postgres.primary === undefined) {
    const server = await connect(servers.postgres.url, { applicationName: 'afterwrite-demo' });
    await dropSlots(server, database);
    await server.query(`drop database ${database} with (force)`);
    await server.close();
  }
  for (const cache of servers.caches.values())
    if (cache.process === undefined) await removeKeys(cache.url, [`${name}:*`, `afterwrite:${name}:*`]);
  const { log } = servers;
  if (log.server.process !== undefined) return;
  if (log.kind === 'redis-streams') return removeKeys(log.server.url, [`afterwrite:${name}:*`]);
  const config = await loadConfig([configPath], process.env);
  if (config.log.kind !== 'kafka') return;
  const admin = await createAdmin(config.log, 'afterwrite-demo');
  try {
    await admin.remove();
  } finally {
    await admin.close();
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
