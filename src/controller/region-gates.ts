import type { RegionGate } from '../protocol/region-gate.ts';

/** What a region's own Redis says of it. Its time is by that Redis's clock: shown, never compared. */
export type StandingGate = RegionGate & { readonly kind: 'gate' };

/** `absent`: there is no gate, so the region is cold and no agent has said so yet. `unreachable`: nobody knows. */
export type GateAnswer =
  | StandingGate
  | { readonly kind: 'absent' }
  | { readonly kind: 'unreachable'; readonly why: string };

/**
 * The gates of the regions. This port reads them; the only thing that it writes is `open`.
 *
 * An answer is one moment's: the gate may be of another epoch before the answer is used. So whoever acts names the epoch that he saw, and a
 * gate of another epoch is left as it is.
 */
export interface RegionGates {
  /** Does not reject for a region that is away: it says `unreachable`. */
  read(region: string): Promise<GateAnswer>;
  /** Lets all traffic in, cold as the region is. `moved`: the gate is of another epoch, and left as it is. Throws `REDIS_*`. */
  open(region: string, epoch: string): Promise<'ok' | 'moved'>;
}
