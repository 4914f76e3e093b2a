import type { Evidence } from '../../src/protocol/fill.ts';
import { isReached, type ReadToken } from '../../src/protocol/read-token.ts';
import type { Lsn } from '../../src/protocol/lsn.ts';
import type { SimKey } from './catalog.ts';
import type { Postgres, Version } from './postgres.ts';
import type { Replica } from './replica.ts';
import type { SimRegion } from './region.ts';
import type { World } from './world.ts';

/** Where a load reads: the primary with its timeline, the primary by declaration, a replica with proof, or who knows where. */
export type LoadKind = 'source' | 'declared' | 'replica' | 'unknown';

/** One load of one key, statement by statement. */
export class Load {
  readonly key: SimKey;
  readonly #world: World;
  readonly #postgres: Postgres;
  readonly #region: SimRegion;
  readonly #token: ReadToken | undefined;
  #kind: LoadKind;
  #replica: Replica | undefined;
  #replicaLives = 0;
  #replayedLsn: Lsn | undefined;
  readonly #found: Version[] = [];
  /** The step of the first statement that reads rows; -1 before. */
  beganAt = -1;
  evidence: Evidence = { kind: 'none' };
  /** For a planted fault: where the log ended before the rows were read. */
  scalarLsn: Lsn | undefined;
  isDone = false;
  hasFailed = false;

  constructor(
    world: World,
    postgres: Postgres,
    region: SimRegion,
    key: SimKey,
    kind: LoadKind,
    token: ReadToken | undefined,
  ) {
    this.#world = world;
    this.#postgres = postgres;
    this.#region = region;
    this.key = key;
    this.#kind = kind === 'replica' && region.readable.length === 0 ? 'source' : kind;
    this.#token = token;
    if (this.#kind === 'replica') this.#replica = world.random.pick(region.readable);
  }

  get kind(): LoadKind {
    return this.#kind;
  }

  get versions(): readonly Version[] {
    return this.#found;
  }

  get payload(): string {
    const [one, two] = this.#found as [Version, Version | undefined];
    return two === undefined ? `${one.id}` : `${one.id},${two.id}`;
  }

  /** One statement. */
  act(): void {
    switch (this.#kind) {
      case 'source':
        return this.#readSource();
      case 'declared':
        return this.#readDeclared();
      case 'replica':
        return this.#readReplica(this.#replica as Replica);
      case 'unknown':
        this.#take(
          this.#world.random.oneIn(2)
            ? this.#postgres.visible
            : (this.#region.readable[0]?.rows ?? this.#postgres.visible),
        );
        this.isDone = true;
    }
  }

  /** Rows, and in the same statement which server answered. A pool may still hold the former primary. */
  #readSource(): void {
    if (this.#world.plant === 'scalar LSN on the primary' && this.scalarLsn === undefined) {
      this.scalarLsn = this.#postgres.insertLsn;
      return;
    }
    const { former, branch } = this.#postgres;
    if (former !== undefined && this.#token === undefined && this.#world.random.oneIn(4)) {
      this.#world.seen.oldPrimaryRead += 1;
      this.#take(former.visible);
      this.evidence = { kind: 'primary', timeline: former.timeline };
    } else {
      this.#take(this.#postgres.visible);
      this.evidence = { kind: 'primary', timeline: branch.timeline };
    }
    this.isDone = true;
  }

  /** An application's own loader: a statement a row, each with a snapshot of its own. */
  #readDeclared(): void {
    if (this.beganAt < 0) this.beganAt = this.#world.step;
    const row = this.key.rows[this.#found.length] as number;
    this.#found.push(this.#postgres.visible[row] as Version);
    if (this.#found.length < this.key.rows.length) return;
    this.evidence = { kind: 'primary' };
    this.isDone = true;
  }

  /** The replayed LSN in one statement, the rows in a later one of the same session. */
  #readReplica(replica: Replica): void {
    if (replica.isSilent || (this.#replicaLives !== 0 && this.#replicaLives !== replica.lives)) {
      this.#world.seen.replicaSessionLost += 1;
      this.isDone = true;
      this.hasFailed = true;
      return;
    }
    const isRowsTurn = this.#replayedLsn !== undefined || this.#world.plant === 'replayed LSN in the same statement';
    if (this.#replicaLives === 0) {
      this.#replicaLives = replica.lives;
      if (isRowsTurn) this.#take(replica.rows);
      else this.#prove(replica);
      return;
    }
    if (isRowsTurn && this.beganAt < 0) this.#take(replica.rows);
    else this.#prove(replica);
    if (this.#kind !== 'replica') return;
    const { timeline } = replica;
    this.evidence = { kind: 'replica', timeline, replayedLsn: this.#replayedLsn as Lsn };
    this.isDone = true;
  }

  #prove({ replayLsn, timeline }: Replica): void {
    this.#replayedLsn = replayLsn;
    if (this.#token === undefined || isReached(this.#token, { timeline, lsn: replayLsn })) return;
    // What the caller has written is not here yet.
    this.#world.seen.tokenWentToPrimary += 1;
    this.#kind = 'source';
    this.#found.length = 0;
    this.beganAt = -1;
  }

  #take(rows: readonly Version[]): void {
    this.beganAt = this.#world.step;
    for (const row of this.key.rows) this.#found.push(rows[row] as Version);
  }
}
