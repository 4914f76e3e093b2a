import { readFile } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { Redis } from 'ioredis';
import { startRedis } from '../../src/stack/redis.ts';
import type { Peer } from './adapter.ts';

const OWN_NAME = 'afterwrite';
const PACKAGES_OF_THE_FLOOR = ['lru-cache', 'ioredis'];

export async function installedVersions(peers: readonly Peer[]): Promise<Readonly<Record<string, string>>> {
  const names = new Set([...peers.flatMap(({ packages }) => packages), ...PACKAGES_OF_THE_FLOOR]);
  const versions: Record<string, string> = { node: process.versions.node, redis: await redisVersion() };
  for (const name of names) versions[name] = await installedVersion(name);
  return versions;
}

/** From the file, since a package need not export it. */
async function installedVersion(name: string): Promise<string> {
  const folder = name === OWN_NAME ? '../../' : `../../node_modules/${name}/`;
  const path = new URL(`${folder}package.json`, import.meta.url);
  const { version } = JSON.parse(await readFile(path, 'utf8')) as { version: string };
  return version;
}

async function redisVersion(): Promise<string> {
  const server = await startRedis();
  const redis = new Redis(server.url);
  const info = await redis.info('server');
  redis.disconnect();
  await server.stop();
  return /redis_version:(?<version>\S+)/u.exec(info)?.groups?.['version'] ?? 'unknown';
}

export function machine(): Readonly<Record<string, string | number>> {
  return {
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: process.platform,
    architecture: process.arch,
  };
}
