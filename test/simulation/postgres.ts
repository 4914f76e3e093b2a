import type { Invalidation } from '../../src/protocol/invalidation.ts';
import type { Lsn } from '../../src/protocol/lsn.ts';
import type { ReadToken } from '../../src/protocol/read-token.ts';
import type { Snapshot } from '../../src/protocol/snapshot.ts';
import type { SourceLife } from '../../src/protocol/source-epoch.ts';
import type { SourceLook } from '../../src/relay/from-postgres.ts';
import { CELLS, GROUPS, KEYS_OF_ROW, ROWS, type SimKey, tagOf } from './catalog.ts';
import type { World } from './world.ts';

/** One state of a row. A higher id of one row is a later commit. */
export interface Version {
  readonly id: number;
  readonly row: number;
  readonly group: number;
  readonly before: Version | null;
  commit: Commit | undefined;
  /** The branch on which it is no more; Infinity while it stands. */
  diedOn: number;
}

/** What applying an item makes old: values of a key that are below this version of a row. */
export interface Effect {
  readonly key: SimKey;
  readonly place: number;
  readonly version: Version;
  /** The group whose tag the item names: of a tagged key, only values that carry it are made old. */
  readonly group: number;
}

/** An item on the bus, with the truth of what it stands for. The cells that it must reach, and those that it was sent to, are bit masks. */
export type SimItem = Invalidation & {
  readonly effects: readonly (readonly Effect[])[];
  readonly needed: number;
  sent: number;
};

export interface Commit {
  readonly xid: number;
  readonly lsn: Lsn;
  readonly endLsn: Lsn;
  readonly committedAtMs: number;
  readonly isAsynchronous: boolean;
  readonly versions: readonly Version[];
  readonly items: readonly SimItem[];
  /** A relay notes that it has drawn a source epoch of this number. */
  readonly epochMark?: number;
  isVisible: boolean;
  /** From when on a reader may expect the bus to know of it: visible, and flushed. */
  readableAtMs: number;
}

/** One unbroken history: commits in the order of their LSNs. */
export class Branch {
  readonly id: number;
  readonly timeline: number;
  readonly commits: Commit[];
  /** Where it left the branch before. */
  readonly forkLsn: Lsn;
  /** How many of the first commits are visible without a gap. */
  visiblePrefix = 0;

  constructor(id: number, timeline: number, commits: Commit[], forkLsn: Lsn) {
    this.id = id;
    this.timeline = timeline;
    this.commits = commits;
    this.forkLsn = forkLsn;
  }

  /** Whether every commit below a bound is visible to new snapshots. */
  isSettled(bound: Lsn): boolean {
    const { commits } = this;
    while (commits[this.visiblePrefix]?.isVisible === true) this.visiblePrefix += 1;
    const first = commits[this.visiblePrefix];
    return first === undefined || first.lsn >= bound;
  }

  /** The place of the first commit at or above an LSN. */
  indexOf(lsn: Lsn): number {
    let low = 0;
    let high = this.commits.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.commits[middle] as Commit).lsn < lsn) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

interface Transaction {
  readonly xid: number;
  readonly versions: Version[];
  readonly isAsynchronous: boolean;
  /** Its family is invalidated whole, as where a change widens. */
  readonly isWide: boolean;
  commit: Commit | undefined;
}

const TRANSACTIONS_MAX = 5;
/** Rows from here on are in tagged keys alone, but for one. */
const TAGGED_FROM = 12;

/** The primary: a COMMIT is in the log before it is visible, in any order; flushed before or after. */
export class Postgres {
  readonly #world: World;
  branch: Branch;
  /** The last version of each row in the order of commits, and as new snapshots see it. */
  readonly committed: Version[];
  readonly visible: Version[];
  readonly versions: Version[] = [];
  readonly #locked: boolean[] = Array.from({ length: ROWS }, () => false);
  #open: Transaction[] = [];
  #xid = 100;
  insertLsn = 1000n as Lsn;
  flushed = 1000n as Lsn;
  #startedAtMs: number;
  /** The last acknowledged commits, as their writers know them. */
  readonly tokens: { readonly token: ReadToken; readonly versions: readonly Version[] }[] = [];
  slot: { readonly identity: string; confirmed: Lsn; persisted: Lsn };
  /** What a pool that missed a failover still reads. */
  former: { readonly timeline: number; readonly visible: readonly Version[] } | undefined;

  constructor(world: World) {
    this.#world = world;
    this.#startedAtMs = world.nowMs;
    this.branch = new Branch(1, 1, [], this.insertLsn);
    this.committed = Array.from({ length: ROWS }, (_, row) => this.#version(row, null));
    this.visible = [...this.committed];
    this.slot = { identity: world.name('slot'), confirmed: this.insertLsn, persisted: this.insertLsn };
  }

  get life(): SourceLife {
    return {
      systemId: '7',
      timeline: this.branch.timeline,
      slotIdentity: this.slot.identity,
      postmasterStartedAtMs: this.#startedAtMs,
    };
  }

  get isIdle(): boolean {
    return this.#open.length === 0 && this.flushed === this.insertLsn;
  }

  look(): SourceLook {
    return { askedAtMs: this.#world.nowMs, flushedLsn: this.flushed };
  }

  snapshot(): Snapshot {
    const xmax = BigInt(this.#xid);
    let xmin = xmax;
    const inProgress = new Set<bigint>();
    for (const { xid } of this.#open) {
      inProgress.add(BigInt(xid));
      if (BigInt(xid) < xmin) xmin = BigInt(xid);
    }
    return { xmin, xmax, inProgress };
  }

  allocateXid(): bigint {
    return BigInt(this.#xid++);
  }

  /** A transaction of its own, durable when it is answered. */
  markEpoch(epochMark: number): void {
    const { nowMs } = this.#world;
    const lsn = this.insertLsn;
    const endLsn = (lsn + 2n) as Lsn;
    const said = {
      xid: this.#xid++,
      lsn,
      endLsn,
      committedAtMs: nowMs,
      isAsynchronous: false,
      versions: [],
      items: [],
    };
    this.branch.commits.push({ ...said, epochMark, isVisible: true, readableAtMs: nowMs });
    this.insertLsn = endLsn;
    this.#flush();
  }

  /** One act of the database: a transaction begins and writes, commits, becomes visible or is rolled back; or the log is flushed. */
  act(): boolean {
    const { random, isQuiet, writesOneIn } = this.#world;
    const chosen = this.#open[random.below(this.#open.length + 1)];
    if (this.flushed < this.insertLsn && random.oneIn(3)) return this.#flush();
    if (chosen === undefined)
      return !isQuiet && this.#open.length < TRANSACTIONS_MAX && random.oneIn(writesOneIn) && this.#begin();
    if (chosen.commit !== undefined) return this.#show(chosen, chosen.commit);
    if (random.oneIn(12)) return this.#rollBack(chosen);
    return this.#commit(chosen);
  }

  #version(row: number, before: Version | null): Version {
    const id = this.versions.length;
    const version = { id, row, group: this.#world.random.below(GROUPS), before, commit: undefined, diedOn: Infinity };
    this.versions.push(version);
    return version;
  }

  #begin(): boolean {
    const { random } = this.#world;
    const versions: Version[] = [];
    // Now and then many rows at once, so that buckets overflow and records are many.
    const wanted = random.oneIn(6) ? 12 : 1 + random.below(3);
    for (let i = 0; i < wanted; i++) {
      const row = random.below(this.#world.isTagless ? TAGGED_FROM : ROWS);
      if (this.#locked[row] === true) continue;
      this.#locked[row] = true;
      versions.push(this.#version(row, this.committed[row] as Version));
    }
    if (versions.length === 0) return false;
    const isAsynchronous = this.#world.faults.has('asynchronousCommits') && random.oneIn(3);
    this.#open.push({
      xid: this.#xid++,
      versions,
      isAsynchronous,
      isWide: !this.#world.isTagless && random.oneIn(10),
      commit: undefined,
    });
    this.insertLsn = (this.insertLsn + BigInt(versions.length)) as Lsn;
    return true;
  }

  #commit(transaction: Transaction): boolean {
    const { xid, versions, isAsynchronous, isWide } = transaction;
    const isBulk = this.#world.random.oneIn(40);
    const lsn = this.insertLsn;
    const endLsn = (lsn + 2n) as Lsn;
    this.insertLsn = (endLsn + BigInt(this.#world.random.below(3))) as Lsn;
    const commit: Commit = {
      xid,
      lsn,
      endLsn,
      committedAtMs: this.#world.nowMs,
      isAsynchronous,
      versions,
      items: isBulk ? [...BULK, ...itemsOf(versions, isWide)] : itemsOf(versions, isWide),
      isVisible: false,
      readableAtMs: Infinity,
    };
    for (const version of versions) {
      version.commit = commit;
      this.committed[version.row] = version;
    }
    this.branch.commits.push(commit);
    transaction.commit = commit;
    this.#world.trace?.push(
      `${this.#world.step}  postgres: ${xid} commits ${textOf(versions)} at ${lsn}${isAsynchronous ? ', asynchronously' : ''}`,
    );
    return true;
  }

  #flush(): boolean {
    const { commits } = this.branch;
    for (let i = commits.length - 1; i >= 0; i--) {
      const commit = commits[i] as Commit;
      if (commit.endLsn <= this.flushed) break;
      if (commit.isVisible) commit.readableAtMs = this.#world.nowMs;
    }
    this.flushed = this.insertLsn;
    return true;
  }

  /** Row locks last until a commit is visible. */
  #show(transaction: Transaction, commit: Commit): boolean {
    if (!commit.isAsynchronous && commit.endLsn > this.flushed) return false;
    commit.isVisible = true;
    commit.readableAtMs = commit.endLsn <= this.flushed ? this.#world.nowMs : Infinity;
    for (const version of commit.versions) {
      this.visible[version.row] = version;
      this.#locked[version.row] = false;
    }
    this.#open = this.#open.filter((other) => other !== transaction);
    if (!this.branch.isSettled(commit.lsn)) this.#world.seen.visibleOutOfOrder += 1;
    this.#world.trace?.push(`${this.#world.step}  postgres: ${commit.xid} is visible`);
    const { timeline } = this.branch;
    const lsn = commit.isAsynchronous ? this.insertLsn : this.flushed;
    if (this.tokens.length >= 4) this.tokens.shift();
    this.tokens.push({ token: { timeline, lsn }, versions: commit.versions });
    return true;
  }

  #rollBack(transaction: Transaction): boolean {
    for (const version of transaction.versions) this.#locked[version.row] = false;
    this.#open = this.#open.filter((other) => other !== transaction);
    return true;
  }

  /** The server goes down at once and comes back: what was not flushed is lost. */
  crash(): void {
    this.#world.note(`postgres: crashes; what is above ${this.flushed} is lost`);
    this.#restart(this.flushed, this.branch.timeline);
    if (this.slot.persisted < this.slot.confirmed) this.#world.seen.slotConfirmedWentBack += 1;
    this.slot.confirmed = this.slot.persisted;
  }

  /** The server is shut down in order: everything is flushed, and the stream may be read to its end. */
  shutDown(): void {
    this.flushed = this.insertLsn;
  }

  /** It is started again: nothing is lost. */
  restart(): void {
    this.#world.note('postgres: restarts in order');
    this.#restart(this.flushed, this.branch.timeline);
    this.slot.persisted = this.slot.confirmed;
  }

  /** A standby that had come to some point is promoted. The slot may be there, at an older place, or is made anew. */
  failOver(): void {
    const { random } = this.#world;
    const flushedCommits = this.branch.commits.filter(({ endLsn }) => endLsn <= this.flushed);
    const kept = flushedCommits[flushedCommits.length - 1 - random.below(4)];
    const forkLsn = kept === undefined ? this.branch.forkLsn : kept.endLsn;
    this.#world.note(`postgres: a standby at ${forkLsn} is promoted`);
    this.#world.seen.sourceFailover += 1;
    this.former = { timeline: this.branch.timeline, visible: [...this.visible] };
    this.#restart(forkLsn, this.branch.timeline + 1);
    if (this.slot.confirmed <= forkLsn && random.oneIn(2)) this.slot.confirmed = this.slot.persisted;
    else this.recreateSlot();
  }

  recreateSlot(): void {
    this.#world.seen.slotRecreated += 1;
    // A new slot begins where the log ends; what is committed below is never decoded.
    this.slot = { identity: this.#world.name('slot'), confirmed: this.flushed, persisted: this.flushed };
    this.#world.note(`postgres: the slot is made anew, at ${this.flushed}`);
  }

  #restart(upTo: Lsn, timeline: number): void {
    const kept = this.branch.commits.filter(({ endLsn }) => endLsn <= upTo);
    const lost = this.branch.commits.slice(kept.length);
    const branch = new Branch(this.branch.id + 1, timeline, kept, upTo);
    for (const { versions, isVisible } of lost) {
      if (isVisible) this.#world.seen.asynchronousCommitLost += 1;
      for (const version of versions) {
        version.diedOn = branch.id;
        let last = version.before;
        while (last !== null && last.diedOn <= branch.id) last = last.before;
        if (last !== null) this.committed[version.row] = last;
      }
    }
    for (const commit of kept) {
      if (commit.readableAtMs === Infinity) commit.readableAtMs = this.#world.nowMs;
      commit.isVisible = true;
    }
    this.committed.forEach((version, row) => (this.visible[row] = version));
    this.#locked.fill(false);
    this.#open = [];
    this.tokens.length = 0;
    this.branch = branch;
    this.insertLsn = (upTo + 2n) as Lsn;
    this.flushed = this.insertLsn;
    this.#startedAtMs = this.#world.nowMs;
    this.#xid += 10;
  }
}

function textOf(versions: readonly Version[]): string {
  return versions.map(({ row, id }) => `r${row}=${id}`).join(' ');
}

/** Keys that nobody reads, more than a record holds. */
const BULK: readonly SimItem[] = Array.from({ length: 130 }, (_, i) => {
  const key = `bulk:${i}`;
  return { scope: 'key', family: 'user', act: 'evict', key, effects: [], needed: 0, sent: 0 };
});

/** What the relay's rules make of a transaction: keys, or the whole family, and the tags of the old and the new group of each row. */
function itemsOf(versions: readonly Version[], isWide: boolean): SimItem[] {
  const items = new Map<string, SimItem & { effects: Effect[][] }>();
  const add = (name: string, item: Invalidation, effect: Effect | undefined): void => {
    let known = items.get(name);
    if (known === undefined) {
      const needed = item.scope === 'key' ? 1 << (effect?.key.cell ?? 0) : (1 << CELLS) - 1;
      known = { ...item, effects: Array.from({ length: CELLS }, () => []), needed, sent: 0 };
      items.set(name, known);
    }
    if (effect !== undefined) known.effects[effect.key.cell]?.push(effect);
  };
  for (const version of versions) {
    for (const { key, place } of KEYS_OF_ROW[version.row] ?? []) {
      const old = version.before?.group ?? version.group;
      const effect = { key, place, version, group: old };
      if (key.by === 'tag') {
        add(tagOf(version.row, old), { scope: 'tag', tag: tagOf(version.row, old) }, effect);
        add(tagOf(version.row, version.group), { scope: 'tag', tag: tagOf(version.row, version.group) }, undefined);
      } else if (isWide) add(key.family, { scope: 'family', family: key.family, act: 'evict' }, effect);
      else add(key.key, { scope: 'key', family: key.family, act: 'evict', key: key.key }, effect);
    }
  }
  return [...items.values()];
}
