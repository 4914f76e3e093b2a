import type { BufferConfig } from '../../src/config/bus-config.ts';

/** A small counter for tests of what comes after the file. */
export function bufferConfig(more: Partial<BufferConfig> = {}): BufferConfig {
  return {
    name: 'views',
    redis: 'redis://127.0.0.1:1',
    kind: 'counter',
    key: ['id'],
    columns: [],
    target: { kind: 'table', table: { schema: 'public', name: 'views' }, column: 'count', makesRows: true },
    windowMs: 50,
    flushEveryMs: 1000,
    loss: { processMs: 100, redisMs: 0, diskMs: 10_000 },
    whenFull: 'block',
    entriesMax: 1_000_000,
    bytesMax: 1 << 28,
    partitions: 2,
    ...more,
  };
}
