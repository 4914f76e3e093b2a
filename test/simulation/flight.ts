import type { Flight } from '../../src/client/flight.ts';
import { judgeFill, type LeaseReading } from '../../src/protocol/fill.ts';
import type { StoreReply } from '../../src/client/cache-store.ts';
import { ROWS, GROUPS, tagOf, type SimKey } from './catalog.ts';
import { tagMarkOf } from '../../src/protocol/mark.ts';
import type { Lsn } from '../../src/protocol/lsn.ts';
import type { Load } from './load.ts';
import type { SimRegion } from './region.ts';
import type { World } from './world.ts';

/** Where a value may be served past its time, its time is short. */
const TTL_MS = 6000;
const SHORT_TTL_MS = 800;

const TAG_MARKS = Array.from({ length: ROWS }, (_, row) =>
  Array.from({ length: GROUPS }, (__, group) => tagMarkOf(tagOf(row, group))),
);

/** What a flight of a process has done so far. Who may join it the client's own flight decides. */
export class SimFlight {
  readonly key: SimKey;
  readonly shared: Flight;
  reading: LeaseReading | undefined;
  leasedAt = 0;
  load: Load | undefined;
  isOver = false;

  constructor(key: SimKey, shared: Flight) {
    this.key = key;
    this.shared = shared;
  }

  /** The lease that stands for it; undefined where it has none, or it is not known whether it has. */
  get token(): string | undefined {
    return this.shared.token;
  }
}

/** Decides, and in one step stores. Undefined where it was decided not to. */
export function fill(world: World, region: SimRegion, flight: SimFlight): (() => StoreReply) | undefined {
  const { load, reading, token, key } = flight;
  if (load === undefined || reading === undefined || token === undefined || load.hasFailed) return undefined;
  const { seen } = world;
  const verdict = judgeFill(reading, load.evidence);
  let bound: Lsn;
  if (world.plant === 'scalar LSN on the primary' && load.scalarLsn !== undefined && reading.fenced < load.scalarLsn)
    bound = load.scalarLsn;
  else if (verdict.kind === 'refuse') {
    if (verdict.why === 'timeline') seen.storeRefusedByTimeline += 1;
    else if (verdict.why === 'replica behind') {
      seen.proofTooLow += 1;
      if (load.evidence.kind === 'replica') countProof(world, reading, load.evidence.replayedLsn);
    }
    return undefined;
  } else bound = verdict.bound;
  if (load.evidence.kind === 'replica') seen.proofReached += 1;
  const tagMarks = key.by === 'tag' ? load.versions.map(({ row, group }) => TAG_MARKS[row]?.[group] as number) : [];
  const { payload, beganAt } = load;
  const { leasedAt } = flight;
  const { epoch, offset } = reading;
  return () => {
    if (world.plant === 'no lease compare')
      region.redis.set(key.key, `aw1 l ${region.redis.cell(key.cell).epoch} ${token}`, 10_000);
    const reply = region.redis.store(key, {
      token,
      epoch,
      offset,
      bound,
      rule: key.rule,
      tagMarks,
      ttlMs: key.staleMs > 0 ? SHORT_TTL_MS + key.staleMs : TTL_MS,
      payload,
      id: token,
    });
    world.trace?.push(
      `${world.step}  ${region.name}: store of ${key.key}=${payload} (read at step ${beganAt}): ${reply.kind === 'stored' ? 'stored' : reply.why}`,
    );
    if (reply.kind === 'stored') {
      if ((region.evicted[key.index] as number) > beganAt) seen.evictionCrossedLoad += 1;
      checkStored(world, region, key, payload, beganAt);
    } else countRefusal(world, region, key, leasedAt, reply.why);
    return reply;
  };
}

/** A proof that is above all that stands in the fence, and too low all the same. */
function countProof({ seen }: World, reading: LeaseReading, replayedLsn: Lsn): void {
  if (replayedLsn <= reading.fenced || replayedLsn <= reading.floor) return;
  if (replayedLsn <= reading.droppedLsn) seen.droppedEntryNeeded += 1;
  if (replayedLsn < reading.settledReplica.lsn) seen.proofBelowSettled += 1;
}

/** What is stored must be as new as what was applied, and nothing that was read before a DEL. */
function checkStored(world: World, region: SimRegion, key: SimKey, payload: string, beganAt: number): void {
  const fault = region.fault(key, payload);
  if (fault !== undefined) world.fail(fault.slice(0, 2), `${region.name} stores what is old: ${fault}`);
  if (beganAt <= (region.deleted[key.index] as number))
    world.fail('I3', `${region.name} stores ${key.key}, which was read at step ${beganAt} and dropped since`);
}

function countRefusal(world: World, region: SimRegion, key: SimKey, leasedAt: number, why: string): void {
  const { seen } = world;
  switch (why) {
    case 'lease':
      seen.storeRefusedByLease += 1;
      if ((region.evicted[key.index] as number) > leasedAt) {
        seen.leaseVoidedByEviction += 1;
        seen.evictionCrossedLoad += 1;
      } else if ((region.deleted[key.index] as number) > leasedAt) {
        if (region.loss[key.index] === 'memory') seen.leaseVoidedByMemory += 1;
        else seen.leaseVoidedByDelete += 1;
      } else seen.leaseVoidedByExpiry += 1;
      return;
    case 'mark':
      seen.storeRefusedByMark += 1;
      if (key.by === 'tag') seen.storeRefusedByTagMark += 1;
      return;
    case 'epoch':
      seen.storeRefusedByEpoch += 1;
      return;
    case 'position':
      seen.storeRefusedByPosition += 1;
      return;
    case 'lost':
      seen.leaseLost += 1;
  }
}
