/** Faults that are planted in the order of the simulated steps, where the real order is written in a script or a loop. */
export const HARNESS_PLANTS = [
  'fence before lease',
  'no lease compare',
  'scalar LSN on the primary',
  'replayed LSN in the same statement',
  'fence outside the script',
  'position outside the script',
  'dead flight joined',
  'local tier kept on reconnect',
  'reply overtaken by its invalidation',
  'watermark after value',
  'time of the last keepalive',
  'drawn epoch not marked',
] as const;

export type HarnessPlant = (typeof HARNESS_PLANTS)[number];

/** A fault that is planted in the text of a source file. */
export interface SourcePlant {
  readonly kind: 'source';
  readonly name: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const SOURCE_PLANTS: readonly SourcePlant[] = [
  {
    kind: 'source',
    name: 'confirmed past the settled mark',
    file: 'src/relay/ack-tracker.ts',
    from: 'lsnMin(everywhere, this.#settled)',
    to: 'lsnMin(everywhere, everywhere)',
  },
  {
    kind: 'source',
    name: 'settled at decode',
    file: 'src/relay/settle.ts',
    from: 'if (!this.isWaiting) this.#settled = this.#decodedThrough;',
    to: 'this.#settled = this.#decodedThrough;',
  },
  {
    kind: 'source',
    name: 'epoch without floor',
    file: 'src/agent/plan.ts',
    from: 'floor: lsnMax(lsnBefore(record.from), record.sentThrough)',
    to: 'floor: lsnBefore(lsnMax(record.from, record.sentThrough) && (0n as Lsn))',
  },
  {
    kind: 'source',
    name: 'epoch not compared at a hit',
    file: 'src/protocol/hit.ts',
    from: 'if (slot.epoch !== facts.epoch)',
    to: "if (slot.kind === 'lease' && slot.epoch !== facts.epoch)",
  },
  {
    kind: 'source',
    name: 'epoch not compared at a store',
    file: 'src/testing/memory-fills.ts',
    from: "if (cell.epoch !== request.epoch) return 'epoch';",
    to: '',
  },
  {
    kind: 'source',
    name: 'tag not checked against the position',
    file: 'src/testing/memory-fills.ts',
    from: '|| request.tagMarks.some((mark) => isAbove(`t:${mark}`))',
    to: '',
  },
  {
    kind: 'source',
    name: 'watermark before data',
    file: 'src/relay/batch.ts',
    from: 'lane.runs[lane.head]?.decodedBefore ?? this.#decodedThrough',
    to: 'this.#decodedThrough',
  },
  {
    kind: 'source',
    name: 'time before data',
    file: 'src/relay/as-of.ts',
    from: 'if (look.flushedLsn > complete) break;',
    to: '',
  },
  {
    kind: 'source',
    name: 'dropped entries forgotten, of a replica that nobody has listed',
    file: 'src/protocol/fill.ts',
    from: 'lsnMax(fenceOf(reading), reading.droppedLsn)',
    to: 'fenceOf(reading)',
  },
  {
    kind: 'source',
    name: 'dropped entries and settled mark forgotten, of a replica that has restarted',
    file: 'src/protocol/fill.ts',
    from: 'replayedLsn > needed && replayedLsn >= boundOf(reading.settledReplica, reading.timeline)',
    to: 'replayedLsn > fenceOf(reading)',
  },
  {
    kind: 'source',
    name: 'flight joined below a mark',
    file: 'src/client/flight.ts',
    from: '&& seen.markedAt <= this.offset',
    to: '',
  },
  {
    kind: 'source',
    name: 'lost part of a transaction not seen',
    file: 'src/agent/plan.ts',
    from: '|| !goesOn(position, record)',
    to: '|| (goesOn(position, record) && false)',
  },
];

/** Where to begin to look, for what takes several rare things in a row: from the first seed on it would take too long for a test. */
const FIRST_SEED: Partial<Record<HarnessPlant, number>> = { 'drawn epoch not marked': 3_000_015 };

export type Plant = (SourcePlant | { readonly kind: 'harness'; readonly name: HarnessPlant }) & {
  readonly firstSeed?: number;
};

export const PLANTS: readonly Plant[] = [
  ...HARNESS_PLANTS.map((name) => ({ kind: 'harness', name, firstSeed: FIRST_SEED[name] ?? 1 }) as const),
  ...SOURCE_PLANTS,
];

/** Throws where there is none of that name. */
export function findPlant(name: string): Plant {
  const found = PLANTS.find((plant) => plant.name === name);
  if (found === undefined)
    throw new Error(`There is no plant "${name}"; there are: ${PLANTS.map((one) => one.name).join(', ')}.`);
  return found;
}
