import { KEY_BYTES_MAX } from '../protocol/key-parameter.ts';
import { cellOf, hashKey } from '../protocol/key-hash.ts';
import type { Invalidation } from '../protocol/invalidation.ts';
import {
  type LogRecord,
  type ReachedItem,
  RECORD_ITEMS_MAX,
  type RulesNotice,
  type TransactionItems,
} from '../protocol/log-record.ts';
import { LSN_ZERO, type Lsn, lsnMax, lsnMin } from '../protocol/lsn.ts';
import type { SourceEpoch } from '../protocol/source-epoch.ts';
import { PARTITION_BYTES_MAX, SEND_RECORDS_MAX } from './to-log.ts';

/** Items that may wait to be sent; beyond, the relay stops reading. A few tens of megabytes. */
export const PENDING_ITEMS_MAX = 100_000;

/** Runs, or items of one, that a lane has sent and still holds. Under load it may never be empty, and what it holds is forgotten now and then. */
const SENT_KEPT_MAX = 1024;

const ITEM_OVERHEAD_BYTES = 64;
const TRANSACTION_OVERHEAD_BYTES = 64;
const RECORD_OVERHEAD_BYTES = 512;
/** The largest record: its most items, each with the longest key. */
const RECORD_BYTES_MAX =
  RECORD_OVERHEAD_BYTES + RECORD_ITEMS_MAX * (ITEM_OVERHEAD_BYTES + TRANSACTION_OVERHEAD_BYTES + 3 * KEY_BYTES_MAX);

/** What a send says of the whole relay, whatever its records hold. */
export interface SendFacts {
  readonly bus: string;
  readonly sourceEpoch: SourceEpoch;
  readonly settledPrimary: Lsn;
  /** The time as of which everything is below an LSN, in milliseconds. A record tells it of its own `to`: others may be further. */
  readonly asOfMs: (complete: Lsn) => number;
  readonly rules?: RulesNotice;
}

export interface PartitionRecord {
  readonly partition: number;
  readonly record: LogRecord;
}

/** Items of one transaction that wait in one partition, in order. */
interface Run {
  readonly commitLsn: Lsn;
  readonly committedAtMs: number;
  /** Everything that ends at or below was decoded before this transaction began. */
  readonly decodedBefore: Lsn;
  /** The ordinal of the first of `items`. */
  ordinal: number;
  readonly items: Invalidation[];
  /** Items that a record holds already. */
  taken: number;
}

interface Lane {
  runs: Run[];
  /** The first run with items to take. */
  head: number;
  lastCommitLsn: Lsn;
  nextOrdinal: number;
  /** The `to` of the last record built for the partition: the `from` of the next. */
  through: Lsn;
  sentThrough: Lsn;
  /** Where the last record with items has ended. */
  reached: ReachedItem | undefined;
  settledSent: Lsn;
}

/**
 * Packs invalidations into records, a lane a partition. Rows of a transaction may be sent before its COMMIT is read. An interval then
 * ends before the transaction; it is completed by the record that holds the last of its items, or by a later one without items:
 *
 *     decoded          T1 |  T2 ....... (open)              T2 committed
 *     record           [from, T1.end): T1, half of T2       [T1.end, T2.end): the rest of T2
 */
export class Batcher {
  readonly #lanes: Lane[];
  #decodedThrough: Lsn;
  #commitLsn: Lsn = LSN_ZERO;
  #committedAtMs = 0;
  #isOpen = false;
  #pending = 0;

  /** `start` is what the slot has confirmed: the first `from` in every partition. */
  constructor(partitions: number, start: Lsn) {
    this.#lanes = Array.from({ length: partitions }, () => emptyLane(start));
    this.#decodedThrough = start;
  }

  get pendingItems(): number {
    return this.#pending;
  }

  get isFull(): boolean {
    return this.#pending >= PENDING_ITEMS_MAX;
  }

  /** The LSN below which every transaction has been decoded: an end LSN. */
  get decodedThrough(): Lsn {
    return this.#decodedThrough;
  }

  /** The LSN below which every partition's records are complete, once those that were taken have landed. */
  get takenThrough(): Lsn {
    return this.#lanes.map(({ through }) => through).reduce(lsnMin);
  }

  begin(commitLsn: Lsn, committedAtMs: number): void {
    this.#commitLsn = commitLsn;
    this.#committedAtMs = committedAtMs;
    this.#isOpen = true;
  }

  add(item: Invalidation): void {
    if (item.scope === 'key') this.#addTo(cellOf(hashKey(item.key), this.#lanes.length), item);
    else for (let partition = 0; partition < this.#lanes.length; partition++) this.#addTo(partition, item);
  }

  commit(endLsn: Lsn): void {
    this.#isOpen = false;
    this.#decodedThrough = lsnMax(this.#decodedThrough, endLsn);
  }

  /** A keepalive's end of WAL. Within a transaction it says nothing of what is decoded. Returns whether it was taken. */
  idleThrough(walEnd: Lsn): boolean {
    if (this.#isOpen) return false;
    this.#decodedThrough = lsnMax(this.#decodedThrough, walEnd);
    return true;
  }

  /** Whether a partition holds sent items whose settling has not been published in it, though it could be now. */
  owesSettled(settled: Lsn): boolean {
    return this.#lanes.some((lane) => lacksSettled(lane, settled));
  }

  /**
   * The records of the next send, at most `SEND_RECORDS_MAX`; empty if nothing is due. `idle` asks for a record in every partition,
   * `settled` in those that owe one; data takes the latter along.
   */
  take(facts: SendFacts, due: { readonly idle: boolean; readonly settled: boolean }): PartitionRecord[] {
    const records: PartitionRecord[] = [];
    const recordsPerLane = Math.max(1, Math.floor(SEND_RECORDS_MAX / this.#lanes.length));
    const carriesData = this.#pending > 0;
    const { rules, ...withoutRules } = facts;
    const rulesBytes = rules === undefined ? 0 : 3 * JSON.stringify(rules).length;
    this.#lanes.forEach((lane, partition) => {
      const isOwed =
        due.idle ||
        facts.rules !== undefined ||
        ((due.settled || carriesData) && lacksSettled(lane, facts.settledPrimary));
      if (lane.runs.length === 0 && !isOwed) return;
      let recordsLeft = recordsPerLane;
      let bytesLeft = PARTITION_BYTES_MAX - rulesBytes;
      do {
        const after = lane.reached;
        const transactions = this.#pack(lane);
        // Once a send and partition is enough for the rules.
        const said = recordsLeft === recordsPerLane ? facts : withoutRules;
        records.push({ partition, record: this.#close(lane, transactions, said, after) });
        recordsLeft -= 1;
        bytesLeft -= bytesAtMost(transactions);
      } while (lane.runs.length > 0 && recordsLeft > 0 && bytesLeft > RECORD_BYTES_MAX);
    });
    return records;
  }

  #addTo(partition: number, item: Invalidation): void {
    const lane = this.#lanes[partition] as Lane;
    if (lane.lastCommitLsn !== this.#commitLsn) {
      lane.lastCommitLsn = this.#commitLsn;
      lane.nextOrdinal = 0;
    }
    let run = lane.runs.at(-1);
    if (run === undefined || run.commitLsn !== this.#commitLsn) {
      run = {
        commitLsn: this.#commitLsn,
        committedAtMs: this.#committedAtMs,
        decodedBefore: this.#decodedThrough,
        ordinal: lane.nextOrdinal,
        items: [],
        taken: 0,
      };
      lane.runs.push(run);
    }
    run.items.push(item);
    lane.nextOrdinal += 1;
    this.#pending += 1;
  }

  /** Takes the items of the next record from the lane. */
  #pack(lane: Lane): TransactionItems[] {
    const transactions: TransactionItems[] = [];
    let room = RECORD_ITEMS_MAX;
    while (room > 0) {
      const run = lane.runs[lane.head];
      if (run === undefined) break;
      const items = run.items.slice(run.taken, run.taken + room);
      transactions.push({
        commitLsn: run.commitLsn,
        committedAtMs: run.committedAtMs,
        ordinal: run.ordinal + run.taken,
        items,
      });
      run.taken += items.length;
      lane.reached = { commitLsn: run.commitLsn, next: run.ordinal + run.taken };
      room -= items.length;
      lane.sentThrough = lsnMax(lane.sentThrough, run.commitLsn);
      if (run.taken === run.items.length) lane.head += 1;
    }
    forgetSent(lane);
    this.#pending -= RECORD_ITEMS_MAX - room;
    return transactions;
  }

  #close(
    lane: Lane,
    transactions: readonly TransactionItems[],
    facts: SendFacts,
    after: ReachedItem | undefined,
  ): LogRecord {
    const from = lane.through;
    lane.through = lsnMax(from, lane.runs[lane.head]?.decodedBefore ?? this.#decodedThrough);
    lane.settledSent = lsnMax(lane.settledSent, facts.settledPrimary);
    const isWithin = after !== undefined && after.commitLsn >= from;
    return {
      ...facts,
      asOfMs: facts.asOfMs(lane.through),
      from,
      to: lane.through,
      sentThrough: lane.sentThrough,
      ...(isWithin ? { after } : {}),
      transactions,
    };
  }
}

function forgetSent(lane: Lane): void {
  if (lane.head === lane.runs.length || lane.head >= SENT_KEPT_MAX) {
    lane.runs.splice(0, lane.head);
    lane.head = 0;
  }
  const run = lane.runs[lane.head];
  if (run === undefined || run.taken < SENT_KEPT_MAX) return;
  run.items.splice(0, run.taken);
  run.ordinal += run.taken;
  run.taken = 0;
}

/** A character of UTF-16 is three bytes of UTF-8 at most; quotes, commas and names come on top. */
function bytesAtMost(transactions: readonly TransactionItems[]): number {
  let bytes = RECORD_OVERHEAD_BYTES;
  for (const { items } of transactions) {
    bytes += TRANSACTION_OVERHEAD_BYTES;
    for (const item of items)
      bytes +=
        ITEM_OVERHEAD_BYTES +
        3 * (item.scope === 'key' ? item.key : item.scope === 'tag' ? item.tag : item.family).length;
  }
  return bytes;
}

function emptyLane(start: Lsn): Lane {
  return {
    runs: [],
    head: 0,
    lastCommitLsn: LSN_ZERO,
    nextOrdinal: 0,
    through: start,
    sentThrough: LSN_ZERO,
    reached: undefined,
    settledSent: LSN_ZERO,
  };
}

function lacksSettled(lane: Lane, settled: Lsn): boolean {
  return lane.settledSent <= lane.sentThrough && lane.settledSent < settled;
}
