import type { MemoryRegion } from '../../src/testing/memory-region.ts';
import type { RegionSteps } from './write-lab-process.ts';

export type Plant = (region: MemoryRegion) => Partial<RegionSteps>;

/** A reading as of now, without a lease. */
const readingOf = (region: MemoryRegion, cell: number) => {
  const { epoch = '', position } = region.cell(cell);
  return { epoch, offset: position?.offset ?? 0 };
};
const isReader = ({ id }: { readonly id: string }): boolean => id.startsWith('r');

/** What is taken out of a write, or put in another place. */
export const PLANTS: Readonly<Record<string, Plant>> = {
  'the lease taken after COMMIT': (region) => ({
    leaseToWrite: (entry) => ({ kind: 'leased', reading: readingOf(region, entry.cell) }),
    store: (entry, request) => {
      if (isReader(request)) return region.store(entry, request);
      const reply = region.leaseToWrite(entry, { ...request, leaseMs: 10_000 });
      return reply.kind === 'leased'
        ? region.store(entry, { ...request, ...reply.reading })
        : { kind: 'refused', why: 'lost' };
    },
  }),
  'no forced lease: a writer who finds another’s goes on beside it': (region) => {
    const beside = new Set<string>();
    return {
      leaseToWrite: (entry, request) => {
        const reply = region.lease(entry, { ...request, staleMs: 0, waits: false });
        if (reply.kind !== 'held' && reply.kind !== 'live') return reply;
        beside.add(request.token);
        return { kind: 'leased', reading: readingOf(region, entry.cell) };
      },
      store: (entry, request) => {
        // Compared are epoch, rules and marks, as by one who holds it.
        if (beside.delete(request.token)) region.leaseToWrite(entry, { ...request, leaseMs: 10_000 });
        return region.store(entry, request);
      },
    };
  },
  'a store that compares nothing': (region) => ({
    store: (entry, request) => {
      if (isReader(request)) return region.store(entry, request);
      const { epoch, offset } = readingOf(region, entry.cell);
      region.set(entry.key, `aw1 v ${epoch} ${offset} ${request.id} - - -\n${String(request.payload)}`, 600_000);
      return { kind: 'stored' };
    },
  }),
  'a refused write that does not evict': () => ({ evict: () => undefined }),
};
