import type { RegionStore } from '../agent/region-store.ts';
import type { CacheStore } from '../client/cache-store.ts';
import type { GateStore } from '../protocol/region-gate.ts';
import type { MemoryGate } from './memory-gate.ts';
import type { MemoryRegion } from './memory-region.ts';

const PAGE_KEYS = 500;

/** A region in memory as its agents see it. */
export function regionStoreOf(region: MemoryRegion): RegionStore {
  const scans = new Map<string, string[]>();
  let cursors = 0;
  return {
    enlist: async (agent) => region.enlist(agent),
    dismiss: async (agent) => region.dismiss(agent),
    owners: async () => region.owners(),
    take: async (cell, seen, token) =>
      region.cell(cell).take(seen, token) ? { kind: 'taken', stored: region.cell(cell).read() } : { kind: 'refused' },
    read: async (cell) => region.cell(cell).read(),
    beat: async (cells, token) =>
      cells.map((cell) => {
        const offset = region.cell(cell).beat(token);
        return offset === null ? { kind: 'owner' } : { kind: 'kept', offset: offset < 0 ? null : offset };
      }),
    release: async (cell, token) => region.release(cell, token),
    apply: async (cell, token, batch) => region.apply(cell, token, batch),
    beginEpoch: async (cell, token, epoch) => region.beginEpoch(cell, token, epoch),
    settleReplica: async (cells, token, mark) => {
      for (const cell of cells) region.cell(cell).settleReplica(token, mark);
    },
    owedSweeps: async (cells) => cells.map((cell) => new Map(region.cell(cell).sweeps)),
    // A scan shows what is there from its beginning to its end; what comes or goes meanwhile may be shown or not.
    scan: async (cursor, glob) => {
      const isWanted = matcherOf(glob);
      const keys = cursor === '0' ? region.keys().filter(isWanted) : (scans.get(cursor) ?? []);
      scans.delete(cursor);
      if (keys.length <= PAGE_KEYS) return { next: null, keys };
      const next = String((cursors += 1));
      scans.set(next, keys.slice(PAGE_KEYS));
      return { next, keys: keys.slice(0, PAGE_KEYS) };
    },
    sweep: async (cell, token, swept) => region.sweep(cell, token, swept),
    clearSweeps: async (cell, token, done, rules) => region.cell(cell).clearSweeps(token, done, rules),
    owedRefreshes: async (cell) => ({ next: null, owed: [...region.cell(cell).refreshes.values()] }),
    clearRefresh: async (cell, { key, change }) => {
      const { refreshes } = region.cell(cell);
      if (refreshes.get(key)?.change === change) refreshes.delete(key);
    },
    gate: gateStoreOf(region.gate),
    hotReads: { take: async (count) => region.takeHotReads(count) },
    identities: async () => Array.from({ length: region.cells }, () => region.identity),
    close: async () => undefined,
  };
}

/** The gate of one, as everybody sees it. */
export function gateStoreOf(gate: MemoryGate): GateStore {
  return {
    read: async () => gate.read(),
    markCold: async (epoch, reason, former) => gate.markCold(epoch, reason, former),
    noteCells: async (noted) => gate.noteCells(noted),
    report: async (epoch, share, shard) => gate.report(epoch, share, shard),
    warm: async (epoch, shard) => gate.warm(epoch, shard),
    open: async (epoch) => gate.open(epoch),
  };
}

/** A region in memory as its readers see it. */
export function cacheStoreOf(region: MemoryRegion): CacheStore {
  return {
    read: async (entry, wants) => region.read(entry, wants),
    lease: async (entry, request) => region.lease(entry, request),
    leaseToWrite: async (entry, request) => region.leaseToWrite(entry, request),
    store: async (entry, request) => region.store(entry, request),
    giveUp: async (entry, token) => region.giveUp(entry, token),
    evict: async (entries) => region.evict(entries),
    rules: async () => region.rules(),
  };
}

/** A pattern of SCAN: `*` and `?`, and `\` before what means itself. */
function matcherOf(glob: string): (key: string) => boolean {
  const pattern = glob.replace(/\\(.)|([*?])|([^\\*?])/g, (_, escaped, wild, plain) => {
    if (wild !== undefined) return wild === '*' ? '.*' : '.';
    return String(escaped ?? plain).replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&');
  });
  const regex = new RegExp(`^${pattern}$`, 's');
  return (key) => regex.test(key);
}
