import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { RedisStreamsLogConfig } from '../../config/bus-config.ts';
import { BusError, isBusError } from '../../protocol/errors.ts';
import { decodeHotBucket, encodeHotBucket, type HotBucket, type HotKeyLog } from '../../protocol/hot-key.ts';
import { ask, connectRedis, type ServerConnection } from './connection.ts';
import { partitionsOf } from './streams.ts';

/** Buckets in one command: some megabytes at most. */
const PAGE = 16;
const packed = promisify(gzip);
const unpacked = promisify(gunzip);

export function hotKeysKey(bus: string, region: string): string {
  return `afterwrite:${bus}:hot:${region}`;
}

/** Opens the place of hot keys in the Redis of the log: a hash a region, `<family>/<bucket>` -> the bucket, gzip. Throws as the log does. */
export async function openRedisHotKeyLog(bus: string, config: RedisStreamsLogConfig): Promise<HotKeyLog> {
  const redis = await connectRedis(config.url, { name: 'afterwrite-hot-keys' });
  try {
    await partitionsOf(redis, bus, config);
  } catch (error) {
    redis.disconnect();
    throw error;
  }
  return new RedisHotKeyLog(redis, bus);
}

class RedisHotKeyLog implements HotKeyLog {
  readonly #redis: ServerConnection;
  readonly #bus: string;

  constructor(redis: ServerConnection, bus: string) {
    this.#redis = redis;
    this.#bus = bus;
  }

  async write(region: string, buckets: readonly HotBucket[]): Promise<void> {
    const key = hotKeysKey(this.#bus, region);
    for (let first = 0; first < buckets.length; first += PAGE) {
      const some = buckets.slice(first, first + PAGE);
      const texts = await Promise.all(some.map((bucket) => packed(encodeHotBucket(region, bucket))));
      const fields = some.flatMap(({ family, bucket }, i) => [`${family}/${bucket}`, texts[i] ?? '']);
      await ask(this.#redis, key, this.#redis.hset(key, ...fields));
    }
  }

  async *read(region: string, skipped: (error: BusError) => void): AsyncIterable<HotBucket> {
    const key = hotKeysKey(this.#bus, region);
    const fields = await ask(this.#redis, key, this.#redis.hkeys(key));
    for (let first = 0; first < fields.length; first += PAGE) {
      const some = fields.slice(first, first + PAGE);
      const values = await ask(this.#redis, key, this.#redis.hmgetBuffer(key, ...some));
      for (const [i, value] of values.entries()) {
        if (value === null) continue;
        const at = `${key} ${some[i]}`;
        try {
          yield decodeHotBucket(await textOf(value, at), at);
        } catch (error) {
          if (!isBusError(error, 'HOT_KEYS_INVALID')) throw error;
          skipped(error);
        }
      }
    }
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }
}

async function textOf(value: Buffer, at: string): Promise<string> {
  try {
    return (await unpacked(value)).toString('utf8');
  } catch (cause) {
    throw new BusError('HOT_KEYS_INVALID', 'What is told of hot keys is not gzip.', { at, cause });
  }
}
