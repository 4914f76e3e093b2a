import type { RedisStreamsLogConfig } from '../../config/bus-config.ts';
import { BusError } from '../../protocol/errors.ts';
import type { Offset } from '../../protocol/log-record.ts';
import { ask, type RedisConnection } from './connection.ts';

/**
 * The log in Redis Streams: one stream a partition, its ids `0-1`, `0-2`, …, so that offsets are whole numbers from 0 as in Kafka.
 *
 *     afterwrite:<bus>:log:<partition>      stream; each entry has one field, `r`, the record
 *     afterwrite:<bus>:log                  hash: `partitions`, fixed for the bus's life
 *     afterwrite:<bus>:log:positions        hash: `<region>:<partition>` -> the offset applied there, by which the log is trimmed
 */
export const STREAM_FIELD = 'r';

export interface StreamKeys {
  readonly stream: (partition: number) => string;
  readonly meta: string;
  readonly positions: string;
}

export function streamKeys(bus: string): StreamKeys {
  const meta = `afterwrite:${bus}:log`;
  return { stream: (partition) => `${meta}:${partition}`, meta, positions: `${meta}:positions` };
}

export function idOf(offset: Offset): string {
  return `0-${offset + 1}`;
}

export function offsetOf(id: string): Offset {
  return Number(id.slice(id.indexOf('-') + 1)) - 1;
}

/** `always`: durable at the reply. `waitaof`: durable after WAITAOF, which came with Redis 7.2. */
export type Durability = 'always' | 'waitaof';

/** How the log's Redis makes an entry durable. Throws `LOG_NOT_DURABLE` where it may forget what it acknowledged. */
export async function durabilityOf(redis: RedisConnection): Promise<Durability> {
  const at = 'the Redis of the log';
  const settings = await ask(redis, at, redis.config('GET', 'append*', 'maxmemory-policy'));
  const value = (name: string): string | undefined => {
    return settings[settings.indexOf(name) + 1];
  };
  if (value('maxmemory-policy') !== 'noeviction')
    throw new BusError(
      'LOG_NOT_DURABLE',
      `The Redis of the log may evict it: its maxmemory-policy is ${value('maxmemory-policy')}.`,
      { at },
    );
  if (value('appendonly') !== 'yes')
    throw new BusError('LOG_NOT_DURABLE', 'The Redis of the log keeps no append-only file.', { at });
  if (value('appendfsync') === 'always') return 'always';
  const version = /redis_version:(\d+)\.(\d+)/.exec(await ask(redis, at, redis.info('server')));
  if (Number(version?.[1]) * 100 + Number(version?.[2]) >= 702) return 'waitaof';
  throw new BusError(
    'LOG_NOT_DURABLE',
    'The Redis of the log writes its append-only file a second late, and is older than 7.2.',
    { at },
  );
}

/** The number of partitions that the log was created with. Throws `LOG_MISSING` or `LOG_UNFIT`. */
export async function partitionsOf(
  redis: RedisConnection,
  bus: string,
  config: RedisStreamsLogConfig,
): Promise<number> {
  const at = streamKeys(bus).meta;
  const stored = await ask(redis, at, redis.hget(at, 'partitions'));
  if (stored === null) throw new BusError('LOG_MISSING', 'The log of the bus does not exist in this Redis.', { at });
  if (Number(stored) !== config.partitions) {
    throw new BusError(
      'LOG_UNFIT',
      `The log has ${stored} partitions and the file says ${config.partitions}. The count is fixed for a bus's life.`,
      { at },
    );
  }
  return Number(stored);
}

/** Creates the log where there is none. Returns false where it exists. */
export async function createStreams(
  redis: RedisConnection,
  bus: string,
  config: RedisStreamsLogConfig,
): Promise<boolean> {
  const { meta } = streamKeys(bus);
  return (await ask(redis, meta, redis.hsetnx(meta, 'partitions', config.partitions))) === 1;
}

export interface StreamBounds {
  readonly first: Offset;
  readonly next: Offset;
}

export async function boundsOf(redis: RedisConnection, bus: string, partition: number): Promise<StreamBounds> {
  const key = streamKeys(bus).stream(partition);
  const [oldest] = await ask(redis, key, redis.xrange(key, '-', '+', 'COUNT', 1));
  if (oldest !== undefined) {
    const [newest] = await ask(redis, key, redis.xrevrange(key, '+', '-', 'COUNT', 1));
    return { first: offsetOf(oldest[0]), next: offsetOf(newest?.[0] ?? oldest[0]) + 1 };
  }
  if ((await ask(redis, key, redis.exists(key))) === 0) return { first: 0, next: 0 };
  const info = (await ask(redis, key, redis.xinfo('STREAM', key))) as (string | number)[];
  const next = offsetOf(String(info[info.indexOf('last-generated-id') + 1])) + 1;
  return { first: next, next };
}
