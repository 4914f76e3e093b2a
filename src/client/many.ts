import type { Entrance } from './gate.ts';
import { LoadGate } from './gate.ts';
import type { CacheCore } from './core.ts';
import type { LoadOrder } from './loader.ts';
import type { Loaded } from './origin.ts';
import type { Refusal } from './stats.ts';

/** One call of getMany, as the loads of its misses see it. */
export interface Many {
  /** Instead of the gate. */
  readonly entrance: Entrance;
  /** Where one call of the origin loads many keys: takes a load that the family's origin would have been asked for. */
  readonly load?: (order: LoadOrder) => Promise<Loaded>;
  /** This one of the many brings no load of its own, or not soon: it is answered, joins another's, or waits for another process. */
  readonly decided?: () => void;
  /** Told once how the cache stands for this one, where that is known. */
  readonly told?: (what: 'hit' | 'stored' | Refusal) => void;
}

/**
 * Of one getMany no more misses go to the gate at a time than it lets through: the others wait for their turn before it, so that a list may be longer than the
 * gate's queue, and does not fill that for others.
 */
export function inTurns({ gate, clock }: Pick<CacheCore, 'gate' | 'clock'>): Many {
  const unlimited = Number.POSITIVE_INFINITY;
  const turns = new LoadGate({ loadQueueMax: unlimited, loadQueueWaitMs: unlimited }, () => gate.limit, clock);
  return {
    entrance: {
      enter: async (signal) => {
        const turn = await turns.enter(signal);
        try {
          const place = await gate.enter(signal);
          return {
            leave: () => {
              place.leave();
              turn.leave();
            },
          };
        } catch (error) {
          turn.leave();
          throw error;
        }
      },
    },
  };
}
