import assert from 'node:assert/strict';
import { Redis } from 'ioredis';
import { keyspaceOf } from '../../src/config/region-keyspace.ts';
import type { Keyspace } from '../../src/protocol/keyspace.ts';
import type { Sql } from '../../src/drivers/postgres/connection.ts';
import { eventually } from './eventually.ts';
import type { Stage } from './stage.ts';

export interface ReadRecords {
  hgetall(key: string): Promise<Record<string, string>>;
  exists(key: string): Promise<number>;
}

/** Waits until every cell is in an epoch, and knows the rules of the families. */
export async function untilBegun(redis: ReadRecords, keyspace: Keyspace, families: readonly string[]): Promise<void> {
  for (let cell = 0; cell < keyspace.cells; cell++)
    await eventually(
      `cell ${cell} has begun`,
      async () => {
        const state = await redis.hgetall(keyspace.state(cell));
        return state['epoch'] !== undefined && families.every((name) => state[`r:${name}`] !== undefined);
      },
      60_000,
    );
}

/** Waits until no cell owes a sweep: the one that a new epoch owes takes what a plain writer has set, however young. */
export async function untilSwept(redis: ReadRecords, keyspace: Keyspace): Promise<void> {
  for (let cell = 0; cell < keyspace.cells; cell++)
    await eventually(`cell ${cell} is swept`, async () => (await redis.exists(keyspace.sweeps(cell))) === 0, 60_000);
}

/**
 * Waits until every cell has applied all that was committed until now, and one record more, behind it. Until then what is stored is evicted by the
 * beginning of its own row, and an epoch may begin with the record of it.
 */
export async function untilReached(sql: Sql, redis: Pick<ReadRecords, 'hgetall'>, keyspace: Keyspace): Promise<void> {
  const [row] = await sql.query<{ lsn: string }>(
    `select lpad(to_hex(pg_wal_lsn_diff(pg_logical_emit_message(false, 'not ours', ''), '0/0')::bigint), 16, '0') as lsn`,
  );
  for (let cell = 0; cell < keyspace.cells; cell++)
    await eventually(`cell ${cell} has reached it`, async () => {
      const { watermark } = await redis.hgetall(keyspace.record(cell));
      return watermark !== undefined && watermark >= (row?.lsn ?? 'f');
    });
}

export interface BegunRegion {
  readonly keyspace: Keyspace;
  /** The caller's to disconnect. */
  readonly redis: Redis;
  readonly agent: Awaited<ReturnType<Stage['startAgent']>>;
}

/** Starts an agent of `eu` and a relay, and waits until the region has applied what was committed before. */
export async function beginRegion(stage: Stage, families: readonly string[]): Promise<BegunRegion> {
  const region = stage.config.regions.get('eu');
  assert.ok(region !== undefined);
  const keyspace = keyspaceOf(stage.config, region);
  const redis = new Redis(stage.cache.url);
  try {
    const agent = await stage.startAgent('agent');
    await stage.startRelay('relay');
    await untilBegun(redis, keyspace, families);
    await untilReached(stage.sql, redis, keyspace);
    return { keyspace, redis, agent };
  } catch (error) {
    redis.disconnect();
    throw error;
  }
}
