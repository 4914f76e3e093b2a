/**
 * Whether a region is fit for traffic, as its own Redis says: one hash, written by scripts that compare its epoch.
 *
 *     none ──an agent──▶ COLD ──a report──▶ WARMING ──every shard at its target, or opened by hand──▶ WARM
 *       ▲                 ▲                    │                                                        │
 *       └── Redis emptied └── half of the cells began anew, under another epoch ◀──────────────────────┘
 *
 * Where Redis is emptied the record goes with the values, so that its absence is coldness; after a promotion it stands there with them. Whoever acts
 * for one epoch of it writes nothing once it is another. Nothing asks it unless someone does: agents evict, and readers read, in every state.
 */
export type GateState = 'COLD' | 'WARMING' | 'WARM';

export const GATE_STATES: readonly GateState[] = ['COLD', 'WARMING', 'WARM'];

/** The record. */
export interface StoredGate {
  /** A random name, never used twice. Empty where there is no record. */
  readonly epoch: string;
  readonly state: GateState;
  /** Of the reads of hot keys, those whose keys are warm: from 0 to 1, the mean of the shards'. */
  readonly share: number;
  readonly reason: string;
  /** When the state began, by the clock of Redis. Unix time in milliseconds; 0 where there is no record. */
  readonly sinceMs: number;
}

export interface RegionGate extends StoredGate {
  /** The share of traffic that may come: from 0 to 1. */
  readonly admit: number;
}

/** From this share on, so much of the traffic may come. */
export interface RampStep {
  readonly share: number;
  readonly admit: number;
}

export const NO_GATE: StoredGate = { epoch: '', state: 'COLD', share: 0, reason: 'no gate', sinceMs: 0 };

/** Everything where it is WARM, nothing where it is COLD; between, the highest step that the share has reached. */
export function admitOf({ state, share }: Pick<StoredGate, 'state' | 'share'>, ramp: readonly RampStep[]): number {
  if (state === 'WARM') return 1;
  if (state === 'COLD') return 0;
  return ramp.reduce((admit, step) => (share >= step.share ? Math.max(admit, step.admit) : admit), 0);
}

/** The gate as others see it; where there is no record, COLD. */
export function gateOf(stored: StoredGate | null, ramp: readonly RampStep[]): RegionGate {
  const gate = stored ?? NO_GATE;
  return { ...gate, admit: admitOf(gate, ramp) };
}

/** One of several who warm a region together. */
export interface GateShard {
  readonly shard: number;
  readonly of: number;
}

export const WHOLE: GateShard = { shard: 0, of: 1 };

/** What became of a cell's epoch since the gate's epoch began. */
export type CellsAnswer =
  | { readonly kind: 'noted' }
  /** With these, half of the region's cells have begun anew: the gate is COLD, by the new epoch. */
  | { readonly kind: 'cold'; readonly begun: number }
  /** The gate is another, or gone. */
  | { readonly kind: 'moved' };

export interface NotedCells {
  /** The gate's epoch, as it was read before the cells were seen to stand. */
  readonly epoch: string;
  /** The gate's next one, should these be half of the cells. */
  readonly next: string;
  /** Of each cell that stands, its epoch. */
  readonly cells: ReadonlyMap<number, string>;
  readonly regionCells: number;
}

export const HALF_BEGAN_ANEW = 'half of the cells began anew';
/** For so long a cell that began anew counts as cold: then readers have filled it, and it adds up with no other. */
export const BEGUN_FOR_MS = 600_000;

/**
 * The record, as agents, warm-ups and readers need it. Each call is one step: it happens whole or not at all, and repeated it does nothing more.
 * Throws `REDIS_UNREACHABLE`, `REDIS_DENIED`, `REDIS_COMMAND_FAILED`, or `REDIS_WRONG_TYPE` where another program has the key.
 */
export interface GateStore {
  /** Null where there is none, or what stands there is not one. */
  read(): Promise<StoredGate | null>;
  /** Makes it COLD where there is none, or where its epoch is `former`. Returns what stands now, and whether it is by this call. */
  markCold(
    epoch: string,
    reason: string,
    former?: string,
  ): Promise<{ readonly isMarked: boolean; readonly gate: StoredGate }>;
  /**
   * Tells which epochs cells have. A cell whose epoch is another than was told before, under the same gate, has begun anew: its values are misses, until readers have filled it (`BEGUN_FOR_MS`) or the gate becomes WARM. One that
   * is told of for the first time has not: it is the first under this gate.
   */
  noteCells(noted: NotedCells): Promise<CellsAnswer>;
  /** How much is warm. The first report makes a COLD gate WARMING; a WARM one stays so, and a shard's share stays the highest that was told under the epoch. */
  report(epoch: string, share: number, shard?: GateShard): Promise<'ok' | 'moved'>;
  /** This shard is at its target. With the last one the gate is WARM. */
  warm(epoch: string, shard?: GateShard): Promise<'ok' | 'moved'>;
  /** WARM by somebody's word, whatever the share. */
  open(epoch: string): Promise<'ok' | 'moved'>;
}

/** The last that a Date takes. */
const TIME_MAX_MS = 8.64e15;

/** The fields `epoch state share reason since`, as Redis answers them. */
export function parseGate(fields: readonly (string | null | undefined)[]): StoredGate | null {
  const [epoch, state, share, reason, since] = fields;
  const known = GATE_STATES.find((one) => one === state);
  if (epoch == null || epoch === '' || known === undefined) return null;
  const number = Number(share ?? '');
  return {
    epoch,
    state: known,
    share: Number.isFinite(number) ? Math.min(1, Math.max(0, number)) : 0,
    reason: reason ?? '',
    sinceMs: Math.abs(Number(since ?? '')) <= TIME_MAX_MS ? Number(since ?? '') : 0,
  };
}
