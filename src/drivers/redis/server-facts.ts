import { ask, type RedisConnection } from './connection.ts';

export interface ServerFacts {
  /** As INFO says, such as 7.2.4. */
  readonly version: string;
  readonly runId: string;
  readonly role: 'master' | 'slave' | 'unknown';
  /** 0 is without a limit. */
  readonly maxmemoryBytes: number;
  readonly maxmemoryPolicy: string;
  readonly isCluster: boolean;
}

/** Values that are looked at for their TTL, at most. */
const SAMPLE_MAX = 200;
/** Steps of the search for them, so that a large Redis with few of our values is not read through. */
const SCANS_MAX = 20;
const SCAN_COUNT = 500;

/** What a server says of itself by INFO, which managed services leave open where they close CONFIG. */
export async function readServerFacts(redis: RedisConnection, at: string): Promise<ServerFacts> {
  const text = await ask(redis, at, redis.info());
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
  const role = field('role');
  return {
    version: field('redis_version'),
    runId: field('run_id'),
    role: role === 'master' || role === 'slave' ? role : 'unknown',
    maxmemoryBytes: Number(field('maxmemory')),
    maxmemoryPolicy: field('maxmemory_policy'),
    isCluster: field('cluster_enabled') === '1',
  };
}

/** Looks at some keys of a pattern that are values: how many were seen, and how many of them have no TTL. */
export async function sampleTtls(
  redis: RedisConnection,
  at: string,
  glob: string,
  isValue: (redisKey: string) => boolean,
): Promise<{ readonly sampled: number; readonly withoutTtl: number }> {
  const values = new Set<string>();
  let cursor = '0';
  for (let scan = 0; scan < SCANS_MAX && values.size < SAMPLE_MAX; scan += 1) {
    const [next, keys] = await ask(redis, at, redis.scan(cursor, 'MATCH', glob, 'COUNT', SCAN_COUNT));
    for (const key of keys.filter(isValue)) values.add(key);
    cursor = next;
    if (cursor === '0') break;
  }
  const sample = [...values].slice(0, SAMPLE_MAX);
  const ttls = await ask(redis, at, Promise.all(sample.map((key) => redis.ttl(key))));
  return { sampled: sample.length, withoutTtl: ttls.filter((seconds) => seconds === -1).length };
}

/** A setting of the server; undefined where it does not tell. Throws REDIS_DENIED or REDIS_COMMAND_FAILED where CONFIG is closed. */
export async function readSetting(redis: RedisConnection, at: string, name: string): Promise<string | undefined> {
  const reply = await ask(redis, at, redis.config('GET', name));
  return reply[reply.indexOf(name) + 1];
}
