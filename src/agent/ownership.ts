/** A cell counts as free when its owner has not been heard of for so long, on the watcher's own clock. */
export const OWNER_SILENT_MS = 3000;
/**
 * A cell that has not changed for so long though it is free: whoever lacks cells cannot work on it, as an older agent after an upgrade. Longer than any
 * hand-over takes, and than an agent that was killed still counts as living.
 */
export const UNCLAIMED_MS = 5000;

/** Between two looks at the region: who lives, who owns what. */
export const LOOK_EVERY_MS = 500;
/** Between two looks while cells change hands and this agent waits for its share. */
const LOOK_SOON_MS = 25;
/** For so long after the last change an agent that lacks cells looks often: the notice of a drain, and the next cell of a surplus, come within. */
const STIRRED_MS = 3000;

export interface OwnershipFacts {
  /** `owners[cell]`: `<token>:<count>` as just read, empty where the cell is free, null where it cannot be told. */
  readonly owners: readonly (string | null)[];
  readonly token: string;
  readonly held: ReadonlySet<number>;
  /** Cells that this agent cannot work on. */
  readonly barred: ReadonlySet<number>;
  /** Cells that nobody could work on when they were last tried: taken after all others, so that they keep none from being taken. */
  readonly unfit: Pick<ReadonlySet<number>, 'has'>;
  /** Agents that live, this one included. */
  readonly living: number;
  readonly nowMs: number;
}

export interface OwnershipDecision {
  /** Cells to take, with the owner that was seen. */
  readonly take: readonly { readonly cell: number; readonly seen: string }[];
  /** A cell to give back, or undefined. */
  readonly release: number | undefined;
  /** When to look again: a cell that is given back lies still until then. */
  readonly lookAgainMs: number;
}

/**
 * Decides which cells an agent takes and gives back, from what it sees in the region's Redis. No agent is the leader: each holds at most
 * its share, `ceil(cells / living)`, takes what is free below it, and gives a surplus back one cell at a time: the next goes when another
 * has taken the last. Nobody is told of a cell that is free: whoever lacks cells looks often while they change hands, and a silent owner is
 * looked at again as soon as its time is up.
 *
 *     free, and nobody claims it ──▶ taken above the share, one a look ──▶ kept until another number of agents lives
 *
 * That every cell is served goes before even shares: whoever keeps a surplus may keep one that another could have worked on.
 */
export class Ownership {
  readonly #seen = new Map<number, { readonly owner: string | null; readonly sinceMs: number }>();
  /** Who lives and who holds what, without the counts that only say that they live. */
  #picture = '';
  #stirredAtMs = 0;
  /** The surplus that was given back last. */
  #given: number | undefined;
  /** How many lived when a cell lay unclaimed: among so many nobody takes a surplus either. */
  #unclaimedAmong: number | undefined;

  decide(facts: OwnershipFacts): OwnershipDecision {
    this.#watch(facts);
    const share = Math.ceil(facts.owners.length / Math.max(1, facts.living));
    const free = facts.owners.flatMap((owner, cell) =>
      owner !== null && this.#isFree(facts, owner, cell) ? [{ cell, seen: owner }] : [],
    );
    this.#look(facts, free);
    const fit = rotate(
      free.filter(({ cell }) => !facts.unfit.has(cell)),
      facts.token,
    );
    const unfit = free.filter(({ cell }) => facts.unfit.has(cell));
    const lacks = share - facts.held.size;
    if (facts.living !== this.#unclaimedAmong) this.#unclaimedAmong = undefined;
    const unclaimed = lacks > 0 ? [] : fit.filter(({ cell }) => this.#isUnclaimed(facts, cell));
    if (unclaimed.length > 0) {
      this.#unclaimedAmong = facts.living;
      return { take: unclaimed.slice(0, 1), release: undefined, lookAgainMs: LOOK_SOON_MS };
    }
    if (lacks < 0) return { take: [], release: this.#surplus(facts, fit), lookAgainMs: this.#untilSilent(facts) };
    const isSoon = lacks > 0 && facts.nowMs - this.#stirredAtMs < STIRRED_MS;
    return {
      take: [...fit, ...unfit].slice(0, lacks),
      release: undefined,
      lookAgainMs: isSoon ? LOOK_SOON_MS : this.#untilSilent(facts),
    };
  }

  #isUnclaimed(facts: OwnershipFacts, cell: number): boolean {
    // Whoever gave a surplus back takes it before the others do, and knows from it that nobody wants the rest.
    const earlierMs = cell === this.#given ? 2 * LOOK_EVERY_MS : 0;
    return this.#unchangedMs(facts, cell) >= UNCLAIMED_MS - earlierMs;
  }

  #surplus({ held }: OwnershipFacts, fit: OwnershipDecision['take']): number | undefined {
    if (this.#unclaimedAmong !== undefined || fit.some(({ cell }) => cell === this.#given)) return undefined;
    this.#given = Math.max(...held);
    return this.#given;
  }

  #watch({ owners, nowMs }: OwnershipFacts): void {
    owners.forEach((owner, cell) => {
      if (this.#seen.get(cell)?.owner !== owner) this.#seen.set(cell, { owner, sinceMs: nowMs });
    });
  }

  #look({ owners, living, nowMs }: OwnershipFacts, free: OwnershipDecision['take']): void {
    const holders = owners.map((owner) => owner?.split(':', 1)[0]);
    const picture = JSON.stringify([living, holders, free.map(({ cell }) => cell)]);
    if (picture !== this.#picture) this.#stirredAtMs = nowMs;
    this.#picture = picture;
  }

  /** Until the owner that is silent longest counts as gone, but for those that do already. */
  #untilSilent({ held, barred, nowMs }: OwnershipFacts): number {
    const left = [...this.#seen].flatMap(([cell, { owner, sinceMs }]) =>
      owner === null || owner === '' || held.has(cell) || barred.has(cell) ? [] : [sinceMs + OWNER_SILENT_MS - nowMs],
    );
    return Math.min(LOOK_EVERY_MS, ...left.filter((ms) => ms > 0));
  }

  #isFree({ token, held, barred, nowMs }: OwnershipFacts, owner: string, cell: number): boolean {
    if (held.has(cell) || barred.has(cell)) return false;
    // Our own token in a cell that we do not hold: from before the connection was lost.
    if (owner === '' || owner.startsWith(`${token}:`)) return true;
    return this.#unchangedMs({ nowMs }, cell) >= OWNER_SILENT_MS;
  }

  #unchangedMs({ nowMs }: Pick<OwnershipFacts, 'nowMs'>, cell: number): number {
    return nowMs - (this.#seen.get(cell)?.sinceMs ?? nowMs);
  }
}

/** Agents that look at the same free cells begin at different ones, so that they seldom want the same. */
function rotate<T>(list: readonly T[], token: string): T[] {
  if (list.length === 0) return [];
  const start = Number.parseInt(token.slice(0, 8), 16) % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}
