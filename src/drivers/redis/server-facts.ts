import { ask, type RedisConnection } from './connection.ts';

export interface ServerFacts {
  readonly version: string;
  readonly runId: string;
  readonly maxmemoryBytes: number;
  readonly maxmemoryPolicy: string;
  readonly isCluster: boolean;
}

/** Values that are looked at for their TTL, at most. */
const SAMPLE_MAX = 200;

/** What a server says of itself by INFO, which managed services leave open where they close CONFIG. */
export async function readServerFacts(redis: RedisConnection, at: string): Promise<ServerFacts> {
  const text = await ask(redis, at, redis.info());
  const field = (name: string): string => new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(text)?.[1] ?? '';
  return {
    version: field('redis_version'),
    runId: field('run_id'),
    maxmemoryBytes: Number(field('maxmemory')),
    maxmemoryPolicy: field('maxmemory_policy'),
    isCluster: field('cluster_enabled') === '1',
  };
}

/** Looks at some values of a prefix: how many, and how many of them have no TTL. */
export async function sampleTtls(
  redis: RedisConnection,
  at: string,
  glob: string,
): Promise<{ readonly sampled: number; readonly withoutTtl: number }> {
  const [, keys] = await ask(redis, at, redis.scan('0', 'MATCH', glob, 'COUNT', SAMPLE_MAX * 5));
  const sample = keys.slice(0, SAMPLE_MAX);
  const ttls = await ask(redis, at, Promise.all(sample.map((key) => redis.ttl(key))));
  return { sampled: sample.length, withoutTtl: ttls.filter((seconds) => seconds === -1).length };
}

/** A setting of the server; undefined where it does not tell. */
export async function readSetting(redis: RedisConnection, at: string, name: string): Promise<string | undefined> {
  const reply = await ask(redis, at, redis.config('GET', name));
  return reply[reply.indexOf(name) + 1];
}
