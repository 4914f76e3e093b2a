import { OWNER_SILENT_MS } from '../../agent/ownership.ts';
import { type BufferStatus, bufferStatus, readFlushes } from './buffer-status.ts';
import type { BusConfig, RegionConfig } from '../../config/bus-config.ts';
import { ruleTables } from '../../config/catalog-check.ts';
import { keyspaceOf } from '../../config/region-keyspace.ts';
import { createAdmin } from '../../drivers/kafka/admin.ts';
import { readTables } from '../../drivers/postgres/catalog.ts';
import { connect, type Connection } from '../../drivers/postgres/connection.ts';
import { readSentTables, type SentTable } from '../../drivers/postgres/published-tables.ts';
import { readStreamingClient, type StreamingClient } from '../../drivers/postgres/server-settings.ts';
import { findSlots } from '../../drivers/postgres/slot.ts';
import { connectRegion } from '../../drivers/redis/cluster-connection.ts';
import { connectRedis } from '../../drivers/redis/connection.ts';
import { RedisGateStore } from '../../drivers/redis/region-gate.ts';
import { type CellView, readAgents, readRegionView } from '../../drivers/redis/region-view.ts';
import { boundsOf } from '../../drivers/redis/streams.ts';
import { isBusError } from '../../protocol/errors.ts';
import { gateOf, type RegionGate } from '../../protocol/region-gate.ts';
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
  /** Published tables that no rule names, partitions as their root. */
  readonly unrouted: readonly string[];
}

export interface LogStatus {
  readonly kind: 'kafka' | 'redis-streams';
  readonly name: string;
  readonly partitions: number;
  readonly records: number;
}

/** What the cells of a region say together. */
export interface RegionSummary {
  readonly cells: number;
  /** Cells whose owner lives. The others wait to be taken. */
  readonly ownedCells: number;
  /** Cells of which the region record or the cell state is gone: nothing may be stored there until an agent begins them anew. */
  readonly lostCells: number;
  /** Agents that live. */
  readonly agents: number;
  /** The lowest of the cells; null until each has begun. */
  readonly watermark: string | null;
  readonly stalenessMs: number | null;
  /** The lowest of the cells; null where nothing is settled, as without replicas. */
  readonly settledReplica: string | null;
}

export interface RegionStatus extends RegionSummary {
  /** Whether it is fit for traffic. */
  readonly gate: RegionGate;
}

export interface BusStatus {
  readonly bus: string;
  readonly source: SourceStatus | Unreachable;
  readonly log: LogStatus | Unreachable;
  readonly regions: Readonly<Record<string, RegionStatus | Unreachable>>;
  readonly buffers: Readonly<Record<string, BufferStatus | Unreachable>>;
}

/** Asks every part at once. What cannot be reached is shown as such, and the rest all the same. `nowMs`: Unix time. */
export async function readStatus(config: BusConfig, nowMs: () => number): Promise<BusStatus> {
  const regions = [...config.regions.values()].map(
    async (region) => [region.name, await reached(() => regionStatus(config, region, nowMs))] as const,
  );
  const [source, log, all, buffers] = await Promise.all([
    reached(() => sourceStatus(config)),
    reached(() => logStatus(config)),
    Promise.all(regions),
    buffersStatus(config),
  ]);
  return { bus: config.bus, source, log, regions: Object.fromEntries(all), buffers };
}

async function buffersStatus(config: BusConfig): Promise<BusStatus['buffers']> {
  const { bus, source, buffers } = config;
  if (buffers.size === 0) return {};
  const flushes = await reached(async () => {
    const sql = await connect(source.url, { applicationName: `afterwrite-status-${bus}` });
    try {
      return await readFlushes(sql, bus);
    } finally {
      await sql.close();
    }
  });
  const all = [...buffers.values()].map(
    async (buffer) =>
      [
        buffer.name,
        await reached(() => bufferStatus(bus, buffer, isUnreachable(flushes) ? undefined : flushes)),
      ] as const,
  );
  return Object.fromEntries(await Promise.all(all));
}

export function isUnreachable(part: object): part is Unreachable {
  return 'error' in part;
}

async function reached<T extends object>(look: () => Promise<T>): Promise<T | Unreachable> {
  try {
    return await look();
  } catch (error) {
    if (!isBusError(error)) throw error;
    const at = error.at === undefined ? '' : ` (${error.at})`;
    return { error: `${error.code}${at}: ${error.message}` };
  }
}

async function sourceStatus(config: BusConfig): Promise<SourceStatus> {
  const { url, slotPrefix, publication } = config.source;
  const sql = await connect(url, { applicationName: `afterwrite-status-${config.bus}` });
  try {
    const slots = await findSlots(sql, slotPrefix, publication);
    const slot = slots.find(({ isActive }) => isActive) ?? slots[0];
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
      unrouted: unrouted(await readSentTables(sql, publication), await ruledTables(sql, config)),
    };
  } finally {
    await sql.close();
  }
}

/** Every table that rules name, and all of its tree. */
async function ruledTables(sql: Connection, config: BusConfig): Promise<ReadonlySet<string>> {
  const tables = await readTables(sql, ruleTables(config));
  const parts = [...tables.values()].flatMap(({ descendants }) => descendants);
  return new Set([...tables.keys(), ...parts.map(({ schema, name }) => `${schema}.${name}`)]);
}

/** What the stream carries in vain. `ruled` holds the partitions of every ruled table too. */
export function unrouted(sent: readonly SentTable[], ruled: ReadonlySet<string>): string[] {
  return [...new Set(sent.filter(({ name }) => !ruled.has(name)).map(({ root }) => root))];
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
  const redis = await connectRegion(region.redis, { name: 'afterwrite-status' });
  try {
    const keyspace = keyspaceOf(config, region);
    const [cells, agents, gate] = await Promise.all([
      readRegionView(redis, keyspace),
      readAgents(redis, keyspace),
      new RedisGateStore(redis, keyspace.gate).read(),
    ]);
    return { ...summarise(cells, agents, nowMs()), gate: gateOf(gate, config.warmup.ramp) };
  } finally {
    redis.disconnect();
  }
}

/**
 * A region is as far as its slowest cell. `silentMs`: each agent's token, and for how long nothing was heard of it; one that was killed
 * still stands there as an owner. `nowMs`: Unix time.
 */
export function summarise(
  cells: readonly CellView[],
  silentMs: ReadonlyMap<string, number>,
  nowMs: number,
): RegionSummary {
  const living = new Set([...silentMs].filter(([, silent]) => silent < OWNER_SILENT_MS).map(([token]) => token));
  const asOf = cells.map((cell) => cell.asOfMs);
  const known = asOf.filter((ms) => ms !== undefined).filter((ms) => ms > 0);
  return {
    cells: cells.length,
    ownedCells: cells.filter(({ owner }) => owner !== undefined && living.has(owner)).length,
    lostCells: cells.filter(({ epoch, offset }) => (epoch === undefined) !== (offset === undefined)).length,
    agents: living.size,
    watermark: lowest(cells.map((cell) => cell.watermark)),
    stalenessMs:
      known.length > 0 && known.length === cells.length ? Math.max(0, Math.round(nowMs - Math.min(...known))) : null,
    settledReplica: lowest(
      cells.map(({ settledReplica }) => (settledReplica === LSN_ZERO ? undefined : settledReplica)),
    ),
  };
}

/** Null until each is known. */
function lowest(lsns: readonly (Lsn | undefined)[]): string | null {
  const known = lsns.filter((lsn) => lsn !== undefined);
  if (known.length < lsns.length || known.length === 0) return null;
  return lsnToPostgres(known.reduce((low, one) => (one < low ? one : low)));
}
