import { ask, type ServerConnection } from './connection.ts';

/** A buffer as a server has it, whatever the file says. */
export interface FoundBuffer {
  /** As it was fixed when it began; undefined where that is gone. */
  readonly partitions: number | undefined;
  /** Windows that are not flushed. */
  readonly windows: number;
}

const SCAN_COUNT = 500;

/** Every buffer of a bus in a server, by name: also one that the file no longer names, whose entries nobody flushes. */
export async function findBuffers(redis: ServerConnection, bus: string): Promise<ReadonlyMap<string, FoundBuffer>> {
  const at = 'the Redis of buffers';
  const prefix = `afterwrite:${bus}:buffer:`;
  const keys = new Set<string>();
  let cursor = '0';
  do {
    const [next, found] = await ask(redis, at, redis.scan(cursor, 'MATCH', `${prefix}*`, 'COUNT', SCAN_COUNT));
    for (const key of found) keys.add(key);
    cursor = next;
  } while (cursor !== '0');
  const windows = new Map<string, number>();
  for (const key of keys) {
    const [name = '', partition, isSize] = key.slice(prefix.length).split(':');
    if (isSize !== undefined) continue;
    const length = partition === undefined ? 0 : await ask(redis, at, redis.xlen(key));
    windows.set(name, (windows.get(name) ?? 0) + length);
  }
  const named = await Promise.all(
    [...windows].map(async ([name, length]) => {
      const partitions = await ask(redis, at, redis.hget(`${prefix}${name}`, 'partitions'));
      return [name, { partitions: partitions === null ? undefined : Number(partitions), windows: length }] as const;
    }),
  );
  return new Map(named);
}
