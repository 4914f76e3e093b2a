/** So much of the gate's epoch stands before an epoch's name. */
const PAST_LENGTH = 8;

/**
 * The cells of a server that is a stranger: what it stores is somebody else's, until they have begun an epoch there; whoever begins it, and whenever
 * this agent comes to hold them.
 *
 * An epoch has begun there if it is another than was found, or if its name says so: agents that come from the same region put the epoch of the
 * gate before it that they saw last there, which none has used before or will again. One of them may have begun a cell before another arrives.
 */
export class Distrust {
  /** By cell, the epoch that was found; undefined where it could not be read, null where there was none. */
  readonly #found = new Map<number, string | null | undefined>();
  #past = '';

  /** Cells of which nobody has been seen to begin an epoch. */
  get cells(): number[] {
    return [...this.#found.keys()];
  }

  /** A stranger was met, after the gate of this epoch. */
  met(found: ReadonlyMap<number, string | null | undefined>, gateEpoch: string | undefined): void {
    this.#past = gateEpoch?.slice(0, PAST_LENGTH) ?? '';
    for (const [cell, epoch] of found) this.#found.set(cell, epoch);
  }

  /** The name of an epoch that this agent begins. */
  name(token: string): string {
    return this.#past + token;
  }

  begun(cell: number): void {
    this.#found.delete(cell);
  }

  /** Whether what is stored is somebody else's, where the cell's epoch is this. */
  isDistrusted(cell: number, epoch: string | null): boolean {
    if (!this.#found.has(cell)) return false;
    const found = this.#found.get(cell);
    const isOurs = epoch !== null && this.#past !== '' && epoch.startsWith(this.#past);
    const isNew = found !== undefined && epoch !== found;
    if (isOurs || isNew) this.begun(cell);
    return this.#found.has(cell);
  }
}
