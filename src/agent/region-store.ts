import type { GateStore } from '../protocol/region-gate.ts';
import type { BusError } from '../protocol/errors.ts';
import type { Offset, ReachedItem } from '../protocol/log-record.ts';
import type { Lsn } from '../protocol/lsn.ts';
import type { SettledMark } from '../protocol/settled-mark.ts';
import type { SourceEpoch } from '../protocol/source-epoch.ts';

/**
 * A region's Redis as its agents need it. Each call on a cell is one script, so it happens whole or not at all. It compares the owner,
 * and where it writes what a record caused, the position too:
 *
 *     owner differs      somebody else works on the cell: stop
 *     position differs   this Redis is another than the agent thinks (a replica was promoted): read the position and go on from there
 *     lost               the region record or the cell state is gone: a new epoch
 *
 * A call that fails may or may not have happened. Nothing is sent again by itself; the agent reads the position anew.
 * Throws `REDIS_UNREACHABLE` while the server is away. Where a key of a cell is of another type than ours, `take`, `read`, `apply` and
 * `beginEpoch` throw `REDIS_WRONG_TYPE`, `owners` and `beat` answer it for that cell alone, and the rest pass the cell over.
 */
export interface RegionStore {
  /** Enters or renews this agent among the living of the region. Returns how many live, itself included. */
  enlist(agent: string): Promise<number>;
  /** Takes this agent out of the living. Returns how many are left. */
  dismiss(agent: string): Promise<number>;
  /** The owner of each cell, `<token>:<count>`; empty where it is free or has no record. */
  owners(): Promise<readonly (string | BusError)[]>;
  /** Takes a cell whose owner is still what was seen, and reads its position in the same step. */
  take(cell: number, seen: string, token: string): Promise<TakeAnswer>;
  read(cell: number): Promise<StoredCell>;
  /** Shows that the owner lives. Returns the stored offset, so that an idle owner notices another Redis. */
  beat(cells: readonly number[], token: string): Promise<readonly BeatAnswer[]>;
  release(cell: number, token: string): Promise<void>;
  apply(cell: number, token: string, batch: ApplyBatch): Promise<ApplyAnswer>;
  beginEpoch(cell: number, token: string, epoch: NewEpoch): Promise<ApplyAnswer>;
  /** Raises the settled mark of the replicas, in the cells that the token owns. It never goes back. */
  settleReplica(cells: readonly number[], token: string, mark: SettledMark): Promise<void>;
  owedSweeps(cells: readonly number[]): Promise<readonly ReadonlyMap<string, string>[]>;
  /** One step over the values that may match: a page of cache keys, and where to go on, or null at the end. */
  scan(cursor: string, glob: string): Promise<{ readonly next: string | null; readonly keys: readonly string[] }>;
  /**
   * Unlinks those values of one cell that a reader who knows epochs and marks would not be given, and where they are plain the slots beside them.
   * Returns how many values that were; 0 where the token owns the cell no more.
   */
  sweep(cell: number, token: string, swept: SweptKeys): Promise<number>;
  /**
   * Removes owed sweeps, a field to its value, that were done by an agent whose file has these families, each to its rule hash; but none that
   * was raised again since it was read. A family that the region has by another rule, or that the file lacks, was not swept: it goes on owing
   * its own sweep. Where the region has no rules yet, nobody can tell which those are, and what concerns more than one family stays.
   */
  clearSweeps(
    cell: number,
    token: string,
    done: ReadonlyMap<string, string>,
    rules: ReadonlyMap<string, string>,
  ): Promise<void>;
  /** One step over the refreshes that a cell owes, from '0', and where to go on, or null at the end. */
  owedRefreshes(
    cell: number,
    cursor: string,
  ): Promise<{ readonly next: string | null; readonly owed: readonly OwedRefresh[] }>;
  /** Removes an owed refresh, unless its key was changed again meanwhile. */
  clearRefresh(cell: number, refresh: OwedRefresh): Promise<void>;
  /** Whether the region is fit for traffic. */
  readonly gate: GateStore;
  readonly hotReads: HotReadsSource;
  /** What kind of life each cell's server leads, to notice another. In a cluster that is the master that holds the cell. */
  identities(): Promise<readonly RedisIdentity[]>;
  close(): Promise<void>;
}

/** What the region's processes have told of their reads. */
export interface HotReadsSource {
  /** Takes the oldest reports out, so many at most. An entry that is none is an empty text. */
  take(count: number): Promise<readonly string[]>;
}

/** Cache keys of one family, of which a sweep takes the old ones. */
export interface SweptKeys {
  readonly family: string;
  readonly keys: readonly string[];
  readonly isPlain: boolean;
}

export interface StoredPosition {
  /** The offset of the last applied record. */
  readonly offset: Offset;
  readonly sourceEpoch: SourceEpoch;
  readonly watermark: Lsn;
  readonly settledPrimary: SettledMark;
  readonly settledReplica: SettledMark;
  /** Postgres's clock as of the watermark, Unix time in milliseconds. */
  readonly asOfMs: number;
  /** See Position. */
  readonly reached?: ReachedItem;
  readonly epoch?: string;
}

/** Null where the region record or the cell state is missing, or a part of them. */
export type StoredCell = StoredPosition | null;

export type TakeAnswer = { readonly kind: 'taken'; readonly stored: StoredCell } | { readonly kind: 'refused' };

export type BeatAnswer =
  | { readonly kind: 'kept'; readonly offset: Offset | null }
  | { readonly kind: 'owner' }
  | { readonly kind: 'unfit'; readonly error: BusError };

export type ApplyAnswer =
  | { readonly kind: 'applied'; readonly unlinked: number; readonly expired: number }
  | { readonly kind: 'owner' }
  | { readonly kind: 'position' }
  | { readonly kind: 'lost' };

/** What a run of records does to a cell. */
export interface ApplyBatch {
  /** The stored offset that this follows. */
  readonly after: Offset;
  /**
   * The epoch that this continues. Compared too, where it is given: an epoch begins at the offset that is stored, so that the offset alone does not
   * tell a Redis that has lost its beginning.
   */
  readonly epoch?: string;
  readonly offset: Offset;
  readonly sourceEpoch: SourceEpoch;
  readonly watermark: Lsn;
  readonly reached?: ReachedItem;
  readonly asOfMs: number;
  readonly settledPrimary: SettledMark;
  /** Cache keys to unlink. */
  readonly keys: readonly string[];
  /** Those of them whose values are plain: the slot that stands beside each is unlinked too, and with it a lease. */
  readonly plainKeys: readonly string[];
  /** What is kept for the stale bound of its family, while one reader loads it anew. */
  readonly expires: readonly ExpiredKey[];
  /** What is unlinked and, where a value was there, owed to be loaded anew. */
  readonly refreshes: readonly RefreshedKey[];
  /** Bucket -> new entries: commit LSN (8 bytes) and key hash (4 bytes), big-endian, one after another. */
  readonly fences: ReadonlyMap<number, Uint8Array>;
  readonly marks: readonly NewMark[];
  /** Owed sweeps: the field of a mark -> the offset at which it was raised last. */
  readonly sweeps: ReadonlyMap<string, string>;
  /** What the records tell of the rules, in order. Each tells of every family there is. */
  readonly rules: readonly NewRules[];
  /** Whether the region has read replicas, whose settled mark fence entries must wait for. */
  readonly hasReplicas: boolean;
}

export interface ExpiredKey {
  readonly key: string;
  readonly isPlain: boolean;
  readonly family: string;
  /** Of the agent's file. Where the region goes by another, the key is unlinked. */
  readonly ruleHash: string;
  /** Above 0. */
  readonly staleMs: number;
}

export interface RefreshedKey {
  readonly key: string;
  readonly isPlain: boolean;
  readonly family: string;
  readonly commitLsn: Lsn;
}

/** A key that is to be loaded anew. */
export interface OwedRefresh {
  readonly key: string;
  readonly family: string;
  /** Which change it is for: one that was raised again meanwhile is another. */
  readonly change: string;
}

/** A mark of a family or tag; each part is raised by its own maximum. */
export interface NewMark {
  readonly field: string;
  readonly offset: Offset;
  readonly lsn: Lsn;
}

/**
 * The rule text of every family that the relay makes invalidations for. A new, changed or missing one gets the mark; a changed or missing one owes
 * a sweep too. Of what is missing nobody makes invalidations any more, so nobody may store it.
 */
export interface NewRules {
  readonly families: ReadonlyMap<string, string>;
  readonly offset: Offset;
  readonly lsn: Lsn;
}

/**
 * A stretch in which the cell's chain is unbroken. It begins after `offset`, with the record that is in hand, and as of no known time: what the record
 * says of that is good for its end alone.
 */
export interface NewEpoch {
  /** A random name, never used twice. */
  readonly name: string;
  /** The offset that is stored now; null where there is none. Compared, unless something is lost. */
  readonly after: Offset | null;
  readonly offset: Offset;
  readonly sourceEpoch: SourceEpoch;
  readonly watermark: Lsn;
  readonly reached?: ReachedItem;
  readonly floor: Lsn;
}

export interface RedisIdentity {
  readonly runId: string;
  readonly replicationId: string;
  /** The id of the master that this one followed before it was promoted. */
  readonly formerReplicationId: string;
}
