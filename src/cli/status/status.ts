import type { BusConfig, RegionConfig } from '../../config/bus-config.ts';
import { ruleTables } from '../../config/catalog-check.ts';
import { createAdmin } from '../../drivers/kafka/admin.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import { connect, type Connection } from '../../drivers/postgres/connection.ts';
import { readPublication } from '../../drivers/postgres/publication.ts';
import { readStreamingClient, type StreamingClient } from '../../drivers/postgres/server-settings.ts';
import { findSlots } from '../../drivers/postgres/slot.ts';
import { connectRedis } from '../../drivers/redis/connection.ts';
import { type CellView, readRegionView } from '../../drivers/redis/region-view.ts';
import { boundsOf } from '../../drivers/redis/streams.ts';
import { isBusError } from '../../protocol/errors.ts';
import { createKeyspace } from '../../protocol/keyspace.ts';
import { LSN_ZERO, type Lsn, lsnToPostgres } from '../../protocol/lsn.ts';

/** A part of the bus that could not be asked: its error, in words. */
export interface Unreachable {
  readonly error: string;
}

export interface SourceStatus {
  readonly relay: StreamingClient | null;
  readonly slot: {
    readonly name: string;
    readonly walStatus: string | null;
    readonly retainedWalBytes: number | null;
    readonly confirmedLsn: string | null;
  } | null;
  /** Published tables that no rule names. */
  readonly unrouted: readonly string[];
}

export interface LogStatus {
  readonly kind: 'kafka' | 'redis-streams';
  readonly name: string;
  readonly partitions: number;
  readonly records: number;
}

export interface RegionStatus {
  readonly cells: number;
  readonly ownedCells: number;
  readonly agents: number;
  /** The lowest of the cells; null until each has begun. */
  readonly watermark: string | null;
  readonly stalenessMs: number | null;
  readonly settledReplica: string | null;
}

export interface BusStatus {
  readonly bus: string;
  readonly source: SourceStatus | Unreachable;
  readonly log: LogStatus | Unreachable;
  readonly regions: Readonly<Record<string, RegionStatus | Unreachable>>;
}

/** Asks every part at once. What cannot be reached is shown as such, and the rest all the same. `nowMs`: Unix time. */
export async function readStatus(config: BusConfig, nowMs: () => number): Promise<BusStatus> {
  const regions = [...config.regions.values()].map(
    async (region) => [region.name, await reached(() => regionStatus(config, region, nowMs))] as const,
  );
  const [source, log, all] = await Promise.all([
    reached(() => sourceStatus(config)),
    reached(() => logStatus(config)),
    Promise.all(regions),
  ]);
  return { bus: config.bus, source, log, regions: Object.fromEntries(all) };
}

export function isUnreachable(part: object): part is Unreachable {
  return 'error' in part;
}

async function reached<T extends object>(look: () => Promise<T>): Promise<T | Unreachable> {
  try {
    return await look();
  } catch (error) {
    if (!isBusError(error)) throw error;
    return { error: `${error.code}: ${error.message}` };
  }
}

async function sourceStatus(config: BusConfig): Promise<SourceStatus> {
  const { url, slotPrefix, publication } = config.source;
  const sql = await connect(url, { applicationName: `afterwrite-status-${config.bus}` });
  try {
    const [slot] = await findSlots(sql, slotPrefix, publication);
    return {
      relay: slot === undefined ? null : ((await readStreamingClient(sql, slot.name)) ?? null),
      slot:
        slot === undefined
          ? null
          : {
              name: slot.name,
              walStatus: slot.walStatus,
              retainedWalBytes: slot.retainedWalBytes,
              confirmedLsn: slot.confirmedLsn === null ? null : lsnToPostgres(slot.confirmedLsn),
            },
      unrouted: await unroutedTables(sql, config),
    };
  } finally {
    await sql.close();
  }
}

async function unroutedTables(sql: Connection, config: BusConfig): Promise<string[]> {
  const published = (await readPublication(sql, config.source.publication))?.tables ?? [];
  const ruled = new Set<string>();
  for (const [name, table] of await readTables(sql, ruleTables(config))) {
    ruled.add(name);
    for (const part of table.descendants) ruled.add(`${part.schema}.${part.name}`);
  }
  return published.map(({ schema, name }) => `${schema}.${name}`).filter((name) => !ruled.has(name));
}

async function logStatus({ bus, log }: BusConfig): Promise<LogStatus> {
  const count = (bounds: readonly { readonly first: number; readonly next: number }[]): number =>
    bounds.reduce((sum, { first, next }) => sum + next - first, 0);
  if (log.kind === 'kafka') {
    const admin = await createAdmin(log, `afterwrite-status-${bus}`);
    try {
      const { partitions } = await admin.describe();
      return { kind: log.kind, name: log.topic, partitions, records: count(await admin.bounds()) };
    } finally {
      await admin.close();
    }
  }
  const redis = await connectRedis(log.url, { name: 'afterwrite-status' });
  try {
    const bounds = await Promise.all(
      Array.from({ length: log.partitions }, (_, partition) => boundsOf(redis, bus, partition)),
    );
    return { kind: log.kind, name: `afterwrite:${bus}:log`, partitions: log.partitions, records: count(bounds) };
  } finally {
    redis.disconnect();
  }
}

async function regionStatus(config: BusConfig, region: RegionConfig, nowMs: () => number): Promise<RegionStatus> {
  const redis = await connectRedis(region.redis, { name: 'afterwrite-status' });
  try {
    const keyspace = createKeyspace({
      bus: config.bus,
      prefix: config.prefix,
      cells: config.log.partitions,
      clustered: false,
    });
    return summarise(await readRegionView(redis, keyspace), nowMs());
  } finally {
    redis.disconnect();
  }
}

/** A region is as far as its slowest cell. */
export function summarise(cells: readonly CellView[], nowMs: number): RegionStatus {
  const owners = cells.flatMap((cell) => cell.owner ?? []);
  const lowest = (values: readonly (Lsn | undefined)[]): string | null => {
    const known = values.filter((value) => value !== undefined);
    return known.length < values.length || known.length === 0
      ? null
      : lsnToPostgres(known.reduce((low, one) => (one < low ? one : low)));
  };
  const asOf = cells.map((cell) => cell.asOfMs);
  const isBegun = asOf.length > 0 && asOf.every((ms) => ms !== undefined);
  return {
    cells: cells.length,
    ownedCells: owners.length,
    agents: new Set(owners).size,
    watermark: lowest(cells.map((cell) => cell.watermark)),
    stalenessMs: isBegun ? Math.max(0, nowMs - Math.min(...asOf)) : null,
    settledReplica: lowest(cells.map((cell) => cell.settledReplica)),
  };
}
