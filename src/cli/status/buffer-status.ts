import { alarmMs } from '../../buffer/loss.ts';
import type { BufferConfig } from '../../config/bus-config.ts';
import { BUFFER_TABLES_FOUND, FLUSHED_TABLE, REFUSED_TABLE } from '../../drivers/postgres/buffer-tables.ts';
import type { Connection } from '../../drivers/postgres/connection.ts';
import { readBufferDepth } from '../../drivers/redis/buffer-log.ts';
import { connectRedis, type ServerConnection } from '../../drivers/redis/connection.ts';

export interface BufferStatus {
  /** Entries that are not flushed, their bytes, and the age of the oldest. */
  readonly entries: number;
  readonly bytes: number;
  readonly oldestMs: number;
  /** Whether more may be lost than the file names. */
  readonly isBehind: boolean;
  /** Connections of flushers to its Redis; null where the server does not tell. */
  readonly flushers: number | null;
  /** How long ago something of it was last written to Postgres; null where that was never, or Postgres could not be asked. */
  readonly lastFlushMs: number | null;
  /** Rows that are set aside in the table of refusals; null where Postgres could not be asked. */
  readonly refusedRows: number | null;
}

/** What Postgres knows of a buffer. */
export interface BufferFlushes {
  readonly lastFlushMs: number | null;
  readonly refusedRows: number;
}

const FLUSHES = `
  SELECT buffer, sum(refused)::float8 AS refused, min(ago)::float8 AS ago
    FROM (SELECT buffer, 0 AS refused, extract(epoch FROM clock_timestamp() - max(flushed_at)) * 1000 AS ago
            FROM ${FLUSHED_TABLE} WHERE bus = $1 GROUP BY buffer
          UNION ALL
          SELECT buffer, count(*), NULL FROM ${REFUSED_TABLE} WHERE bus = $1 GROUP BY buffer) AS each
   GROUP BY buffer`;

/** By the buffer's name; what has never been flushed is not there. */
export async function readFlushes(sql: Connection, bus: string): Promise<ReadonlyMap<string, BufferFlushes>> {
  const [tables] = await sql.query<{ found: string }>(BUFFER_TABLES_FOUND);
  if (tables?.found !== 'true') return new Map();
  const rows = await sql.query<{ buffer: string; refused: number; ago: number | null }>(FLUSHES, [bus]);
  return new Map(
    rows.map(({ buffer, refused, ago }) => [
      buffer,
      { refusedRows: refused, lastFlushMs: ago === null ? null : Math.max(0, Math.round(ago)) },
    ]),
  );
}

/** `flushes`: undefined where Postgres could not be asked. */
export async function bufferStatus(
  bus: string,
  config: BufferConfig,
  flushes: ReadonlyMap<string, BufferFlushes> | undefined,
): Promise<BufferStatus> {
  const redis = await connectRedis(config.redis, { name: 'afterwrite-status' });
  try {
    const [depth, flushers] = await Promise.all([
      readBufferDepth(redis, bus, config),
      countClients(redis, `afterwrite-flush-${bus}-${config.name}`),
    ]);
    const known = flushes?.get(config.name);
    return {
      ...depth,
      isBehind: depth.oldestMs > alarmMs(config),
      flushers,
      lastFlushMs: known?.lastFlushMs ?? null,
      refusedRows: flushes === undefined ? null : (known?.refusedRows ?? 0),
    };
  } finally {
    redis.disconnect();
  }
}

/** A role may be kept from CLIENT LIST. */
async function countClients(redis: ServerConnection, name: string): Promise<number | null> {
  const list = await redis.client('LIST').then(String, () => undefined);
  return list === undefined ? null : list.split('\n').filter((line) => line.split(' ').includes(`name=${name}`)).length;
}
