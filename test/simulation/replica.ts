import type { ReplicaState } from '../../src/agent/replica-watch.ts';
import type { Lsn } from '../../src/protocol/lsn.ts';
import { ROWS } from './catalog.ts';
import type { Branch, Commit, Postgres, Version } from './postgres.ts';
import type { World } from './world.ts';

/** A read replica: replays flushed WAL with any lag. A commit's rows are visible before the replayed LSN tells of it. */
export class Replica {
  readonly #world: World;
  readonly #postgres: Postgres;
  #branch: Branch;
  #next = 0;
  #isRowsAhead = false;
  #isLagging = false;
  replayLsn: Lsn;
  rows: Version[];
  /** Raised when its sessions are lost. */
  lives = 1;
  isSilent = false;

  /** Once it lags, it goes on so for about so many turns. */
  readonly #lagTurns: number;

  constructor(world: World, postgres: Postgres, lagTurns: number) {
    this.#lagTurns = lagTurns;
    this.#world = world;
    this.#postgres = postgres;
    this.#branch = postgres.branch;
    this.replayLsn = postgres.flushed;
    this.rows = [...postgres.committed];
  }

  get timeline(): number {
    return this.#branch.timeline;
  }

  get isCaughtUp(): boolean {
    return this.#branch === this.#postgres.branch && this.replayLsn === this.#postgres.flushed && !this.isSilent;
  }

  read(): ReplicaState | undefined {
    return this.isSilent ? undefined : { replayLsn: this.replayLsn, isInRecovery: true, timeline: this.timeline };
  }

  act(): boolean {
    if (this.isSilent && (this.#world.isQuiet || this.#world.random.oneIn(40))) this.isSilent = false;
    if (this.#branch !== this.#postgres.branch) return this.#follow();
    if (this.#isLagging) {
      if (!this.#world.isQuiet && !this.#world.random.oneIn(this.#lagTurns)) return false;
      this.#isLagging = false;
    } else if (this.#world.random.oneIn(40)) this.#isLagging = true;
    const next = this.#branch.commits[this.#next];
    if (next === undefined || next.endLsn > this.#postgres.flushed) {
      if (this.replayLsn === this.#postgres.flushed) return false;
      this.replayLsn = this.#postgres.flushed;
      return true;
    }
    if (!this.#isRowsAhead) {
      for (const version of next.versions) this.rows[version.row] = version;
      this.#isRowsAhead = true;
      return true;
    }
    this.replayLsn = next.endLsn;
    this.#isRowsAhead = false;
    this.#next += 1;
    return true;
  }

  /** Comes back from a crash, at an LSN that may be below what it has shown. */
  restart(): void {
    const back = this.#branch.commits[Math.max(0, this.#next - 1 - this.#world.random.below(5))];
    const to = back === undefined || back.endLsn > this.replayLsn ? this.replayLsn : back.endLsn;
    if (to < this.replayLsn) this.#world.seen.replicaRestartedLower += 1;
    this.#world.note(`replica: restarts at ${to}`);
    this.#set(this.#branch, to);
  }

  /** Goes over to the primary's new history, leaving what is not on it. */
  #follow(): boolean {
    if (!this.#world.isQuiet && !this.#world.random.oneIn(8)) return false;
    const { branch } = this.#postgres;
    let fork = branch.forkLsn;
    if (this.timeline !== branch.timeline) this.#world.seen.replicaFollowedTimeline += 1;
    if (fork > this.replayLsn) fork = this.replayLsn;
    this.#world.note(`replica: follows timeline ${branch.timeline} from ${fork}`);
    this.#set(branch, fork);
    return true;
  }

  #set(branch: Branch, lsn: Lsn): void {
    this.#branch = branch;
    this.lives += 1;
    this.replayLsn = lsn;
    this.#isRowsAhead = false;
    const rows: Version[] = this.#postgres.versions.slice(0, ROWS);
    let next = 0;
    for (let commit: Commit | undefined; (commit = branch.commits[next]) !== undefined && commit.endLsn <= lsn; next++)
      for (const version of commit.versions) rows[version.row] = version;
    this.#next = next;
    this.rows = rows;
  }
}
