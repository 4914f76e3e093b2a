import type { BusConfig, Family } from '../config/bus-config.ts';
import { cellOf, hashKey } from '../protocol/key-hash.ts';
import { globOf, matcherOf } from '../protocol/key-template.ts';
import type { Clock } from '../runtime/clock.ts';
import type { Cell } from './cell.ts';
import type { RegionStore } from './region-store.ts';

/** Between two looks for sweeps that are owed. */
const LOOK_EVERY_MS = 1000;
/** Between two pages of a scan, so that a sweep takes a small part of the server's time. */
const PAGE_PAUSE_MS = 5;
/** Keys in one script of a sweep, at most. */
const SWEEP_KEYS_MAX = 500;

export interface SweepParts {
  readonly store: RegionStore;
  readonly clock: Clock;
  readonly config: BusConfig;
  readonly cells: number;
  readonly token: string;
  readonly onSwept: (keys: number) => void;
}

/** What a sweep owed by a cell asks for: which families are old, by its field, and as of when. */
export interface OwedSweep {
  readonly cell: number;
  readonly field: string;
  readonly value: string;
}

/**
 * The families of this agent's file whose values an owed sweep may concern: its own for a family, all for a new epoch, and for a tag those
 * that carry labels, since a plain value does not say which it has. None where the file lacks the family.
 */
export function familiesOf(field: string, config: BusConfig): readonly Family[] {
  const all = [...config.families.values()];
  if (field === '*') return all;
  if (field.startsWith('f:')) return all.filter((family) => family.name === field.slice(2));
  return all.filter((family) => family.tags.length > 0);
}

/**
 * Unlinks what a plain reader could still see after a family, a tag or a whole cell has become old: one paced scan serves every cell
 * that owes a sweep. Only of families that this agent's file knows.
 */
export async function sweep(parts: SweepParts, owed: readonly OwedSweep[], signal: AbortSignal): Promise<void> {
  const families = new Set(owed.flatMap(({ field }) => familiesOf(field, parts.config)));
  const swept = new Map<Family, ReadonlySet<number>>();
  for (const family of families) {
    const cells = owed.filter(({ field }) => familiesOf(field, parts.config).includes(family)).map(({ cell }) => cell);
    swept.set(family, new Set(cells));
  }
  for (const [family, cells] of swept) {
    await sweepFamily(parts, family, cells, signal);
    if (signal.aborted) return;
  }
}

async function sweepFamily(
  parts: SweepParts,
  family: Family,
  cells: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<void> {
  const { store, clock, config } = parts;
  const isOfFamily = matcherOf(family.key);
  let cursor: string | null = '0';
  while (cursor !== null && !signal.aborted) {
    const page: Awaited<ReturnType<RegionStore['scan']>> = await store.scan(cursor, globOf(family.key));
    const byCell = new Map<number, string[]>();
    for (const key of page.keys) {
      const cell = cellOf(hashKey(key), parts.cells);
      if (!cells.has(cell) || !isOfFamily(key)) continue;
      const keys = byCell.get(cell);
      if (keys === undefined) byCell.set(cell, [key]);
      else keys.push(key);
    }
    for (const [cell, keys] of byCell) {
      if (config.observe) parts.onSwept(keys.length);
      else await unlinkOld(parts, cell, family, keys);
    }
    cursor = page.next;
    if (cursor !== null) await clock.sleep(PAGE_PAUSE_MS, signal);
  }
}

async function unlinkOld(
  parts: SweepParts,
  cell: number,
  { name, isPlain }: Family,
  keys: readonly string[],
): Promise<void> {
  for (let first = 0; first < keys.length; first += SWEEP_KEYS_MAX) {
    const some = keys.slice(first, first + SWEEP_KEYS_MAX);
    parts.onSwept(await parts.store.sweep(cell, parts.token, { family: name, keys: some, isPlain }));
  }
}

export interface SweepLoopParts extends SweepParts {
  readonly holdings: {
    readonly cells: readonly Pick<Cell, 'cell' | 'position' | 'sweepsMayBeOwed' | 'swept'>[];
  };
  readonly onOwed: (sweeps: number) => void;
}

/**
 * Sweeps what the held cells owe, for as long as the signal lets it. Redis is asked only after something may have been raised, or while
 * something is left: what another file is needed for is looked at each lap, and scanned for once.
 */
export async function sweepLoop(parts: SweepLoopParts, signal: AbortSignal): Promise<void> {
  const rules = new Map([...parts.config.families.values()].map(({ name, ruleHash }) => [name, ruleHash]));
  while (!signal.aborted) {
    const asked = parts.holdings.cells.filter((cell) => cell.sweepsMayBeOwed && cell.position !== undefined);
    for (const cell of asked) cell.sweepsMayBeOwed = false;
    // Whoever finds that the cell is another's copy puts a new list in the place of this one.
    const lists = asked.map((cell) => cell.swept);
    const fields = await parts.store.owedSweeps(asked.map((cell) => cell.cell));
    parts.onOwed(fields.reduce((sum, owed) => sum + owed.size, 0));
    const looks = asked.map(({ cell }, i) => ({ cell, owed: fields[i] ?? new Map(), swept: lists[i] ?? new Map() }));
    const owing = looks.filter(({ owed }) => owed.size > 0);
    if (owing.length > 0) {
      await sweepOwed(parts, owing, rules, signal);
      // Raised again meanwhile, left, or cut short: looked at once more.
      for (const cell of asked) cell.sweepsMayBeOwed = true;
    }
    await parts.clock.sleep(LOOK_EVERY_MS, signal);
  }
}

interface Look {
  readonly cell: number;
  readonly owed: ReadonlyMap<string, string>;
  readonly swept: Map<string, string>;
}

/** Scans for what was not scanned for yet, and takes off what is done. The store leaves what this agent's rules are not enough for. */
async function sweepOwed(
  parts: SweepParts,
  looks: readonly Look[],
  rules: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<void> {
  const due = looks.flatMap(({ cell, owed, swept }) =>
    [...owed].filter(([field, value]) => swept.get(field) !== value).map(([field, value]) => ({ cell, field, value })),
  );
  await sweep(parts, due, signal);
  if (signal.aborted) return;
  await Promise.all(
    looks.map(async ({ cell, owed, swept }) => {
      for (const [field, value] of owed) swept.set(field, value);
      const done = new Map([...owed].filter(([field]) => !isOfUnknownFamily(field, parts.config)));
      if (done.size > 0) await parts.store.clearSweeps(cell, parts.token, done, rules);
    }),
  );
}

function isOfUnknownFamily(field: string, config: BusConfig): boolean {
  return field.startsWith('f:') && familiesOf(field, config).length === 0;
}
