/** A cell counts as free when its owner has not been heard of for so long, on the watcher's own clock. */
export const OWNER_SILENT_MS = 3000;

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
}

/**
 * Decides which cells an agent takes and gives back, from what it sees in the region's Redis. No agent is the leader: each holds at most
 * its share, `ceil(cells / living)`, takes what is free below it, and gives a surplus back one cell at a time, so that another can
 * take it before the next goes.
 */
export class Ownership {
  readonly #seen = new Map<number, { readonly owner: string | null; readonly sinceMs: number }>();

  decide(facts: OwnershipFacts): OwnershipDecision {
    this.#watch(facts);
    const share = Math.ceil(facts.owners.length / Math.max(1, facts.living));
    if (facts.held.size > share) return { take: [], release: Math.max(...facts.held) };
    const free = facts.owners.flatMap((owner, cell) =>
      owner !== null && this.#isFree(facts, owner, cell) ? [{ cell, seen: owner }] : [],
    );
    const fit = free.filter(({ cell }) => !facts.unfit.has(cell));
    const unfit = free.filter(({ cell }) => facts.unfit.has(cell));
    return { take: [...rotate(fit, facts.token), ...unfit].slice(0, share - facts.held.size), release: undefined };
  }

  #watch({ owners, nowMs }: OwnershipFacts): void {
    owners.forEach((owner, cell) => {
      if (this.#seen.get(cell)?.owner !== owner) this.#seen.set(cell, { owner, sinceMs: nowMs });
    });
  }

  #isFree({ token, held, barred, nowMs }: OwnershipFacts, owner: string, cell: number): boolean {
    if (held.has(cell) || barred.has(cell)) return false;
    // Our own token in a cell that we do not hold: from before the connection was lost.
    if (owner === '' || owner.startsWith(`${token}:`)) return true;
    return nowMs - (this.#seen.get(cell)?.sinceMs ?? nowMs) >= OWNER_SILENT_MS;
  }
}

/** Agents that look at the same free cells begin at different ones, so that they seldom want the same. */
function rotate<T>(list: readonly T[], token: string): T[] {
  if (list.length === 0) return [];
  const start = Number.parseInt(token.slice(0, 8), 16) % list.length;
  return [...list.slice(start), ...list.slice(0, start)];
}
