/** Keys of a statement at most: what it brings stands in memory at once. */
const KEYS_MAX = 1000;
/** As many in the first, of which nothing is known yet. */
const KEYS_FIRST = 16;
/** A statement is made so long as to take about so much: a round trip is then little of it, and a family that is dear is asked for few keys. */
const STATEMENT_MS = 50;
/** A family of whose keys each takes so long is better loaded key by key, in turns, which are side by side: one statement reads one after the other. */
const DEAR_MS = 20;
/** So many statements in a row: the first of all has its connection made, and a server comes to itself. */
const DEAR_TIMES = 3;
/** After so long it is tried again: it may have been the database that was slow. */
const DEAR_FOR_MS = 60_000;
/** The weight of the last statement in the mean. */
const WEIGHT = 0.3;

/** Decides how many keys of a family one statement loads, by what those before have taken. */
export class StatementSize {
  #keyMs: number | undefined;
  #dearTimes = 0;
  #dearUntilMs = Number.NEGATIVE_INFINITY;

  get keys(): number {
    if (this.#keyMs === undefined) return KEYS_FIRST;
    return Math.min(KEYS_MAX, Math.max(KEYS_FIRST, Math.floor(STATEMENT_MS / this.#keyMs)));
  }

  isDear(nowMs: number): boolean {
    return nowMs < this.#dearUntilMs;
  }

  took(keys: number, ms: number, nowMs: number): void {
    const keyMs = Math.max(ms / keys, 0.001);
    // Of few keys it is the round trip that is measured.
    if (this.#keyMs === undefined) this.#keyMs = keyMs;
    else if (keys >= KEYS_FIRST || keyMs < this.#keyMs) this.#keyMs += (keyMs - this.#keyMs) * WEIGHT;
    if (keys < KEYS_FIRST) return;
    this.#dearTimes = keyMs < DEAR_MS ? 0 : this.#dearTimes + 1;
    if (this.#dearTimes < DEAR_TIMES) return;
    this.#dearTimes = 0;
    this.#dearUntilMs = nowMs + DEAR_FOR_MS;
    this.#keyMs = undefined;
  }
}
