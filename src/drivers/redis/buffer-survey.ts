import { ask, type ServerConnection } from './connection.ts';
import { type ScanPage, scanPage } from './scan.ts';

/** A buffer as a server has it, whatever the file says. */
export interface FoundBuffer {
  /** As it was fixed when it began; undefined where that is gone. */
  readonly partitions: number | undefined;
  /** Windows that are not flushed. */
  readonly windows: number;
}

/** Every buffer of a bus in a server, by name: also one that the file no longer names, whose entries nobody flushes. */
export async function findBuffers(redis: ServerConnection, bus: string): Promise<ReadonlyMap<string, FoundBuffer>> {
  const at = 'the Redis of buffers';
  const prefix = `afterwrite:${bus}:buffer:`;
  const keys = new Set<string>();
  for (let cursor: string | null = '0'; cursor !== null;) {
    const page: ScanPage = await ask(redis, at, scanPage(redis, cursor, `${prefix}*`));
    for (const key of page.keys) keys.add(key);
    cursor = page.next;
  }
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
