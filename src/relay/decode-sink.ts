import { LSN_ZERO, type Lsn, lsn, lsnMax } from '../protocol/lsn.ts';
import { MESSAGE_PREFIX, type MessageMeaning } from './application-message.ts';
import type { Batcher } from './batch.ts';
import type { TransactionCollector } from './collect.ts';
import { EPOCH_MARK_PREFIX, type EpochMark, parseEpochMark } from '../protocol/epoch-mark.ts';
import type { OldImage, RowImage, StreamRelation, StreamSink } from './from-postgres.ts';
import type { Lookup, RelationDirectory } from './relation-directory.ts';
import type { Router } from './route.ts';
import type { SettleTracker } from './settle.ts';

export interface DecodeParts {
  readonly router: Router;
  readonly collector: TransactionCollector;
  readonly batcher: Batcher;
  readonly settle: SettleTracker;
  readonly directory: RelationDirectory;
  readonly readMessage: (content: string) => MessageMeaning;
}

/** What the relay hears of the stream, to count it and to act on it. */
export interface DecodeEvents {
  /** Something was decoded: there may be a send, a settling, or a limit to look at. */
  progress(): void;
  transaction(): void;
  change(op: 'insert' | 'update' | 'delete' | 'truncate' | 'message'): void;
  /** A relation that no rule names, or none that is known: `isDoubtful` asks for the catalog to be read again. */
  unnamedRelation(): void;
  messageFault(fault: string): void;
  /** A relay has drawn a source epoch. What this throws ends the stream, before anything behind it counts as decoded. */
  epochMark(mark: EpochMark): void;
}

/**
 * Leads the stream through router and collector into the batcher. Within one call, without waiting, keeping no view of a row.
 * Between BEGIN and COMMIT nothing may be taken for decoded, whatever a keepalive says.
 */
export class DecodeSink implements StreamSink {
  readonly #parts: DecodeParts;
  readonly #events: DecodeEvents;
  readonly #relations = new Map<number, { relation: StreamRelation; lookup: Lookup; describedAt: Lsn }>();
  #xid = 0;
  #commitLsn: Lsn = LSN_ZERO;
  #received: Lsn = LSN_ZERO;
  /** The clock of Postgres at the last message, Unix time in milliseconds. Not as of when everything is decoded: see as-of.ts. */
  #clockMs = 0;

  constructor(parts: DecodeParts, events: DecodeEvents) {
    this.#parts = parts;
    this.#events = events;
  }

  /** The highest LSN that the stream has shown. */
  get received(): Lsn {
    return this.#received;
  }

  /** Relations of the stream that no rule can name. */
  get unrouted(): readonly string[] {
    return [...this.#relations.values()]
      .filter((r) => r.lookup.kind === 'unrouted')
      .map((r) => `${r.relation.schema}.${r.relation.name}`);
  }

  /** Whether a relation of the stream may feed rules that the directory does not know of yet. */
  get isDoubtful(): boolean {
    return [...this.#relations.values()].some(({ lookup }) => lookup.kind === 'maybe');
  }

  /**
   * Looks relations up again, after the directory has learned more. `seen` is an LSN below which every commit was visible before the
   * catalog was read: a COMMIT is in the stream before the catalog shows what it did.
   */
  relearn(seen: Lsn): void {
    for (const { relation, lookup, describedAt } of this.#relations.values()) {
      if (lookup.kind !== 'named') this.#define(relation, describedAt, describedAt >= seen);
    }
  }

  begin(commitLsn: Lsn, committedAtMs: number, xid: number): void {
    this.#xid = xid;
    this.#commitLsn = commitLsn;
    this.#parts.collector.begin();
    this.#parts.batcher.begin(commitLsn, committedAtMs);
  }

  relation(relation: StreamRelation): void {
    const lookup = this.#define(relation, this.#commitLsn, true);
    if (lookup.kind !== 'named') this.#events.unnamedRelation();
  }

  insert(relation: StreamRelation, row: RowImage): void {
    this.#events.change('insert');
    if (this.#isNamed(relation)) this.#parts.router.insert(relation, row);
  }

  update(relation: StreamRelation, old: RowImage | null, oldImage: OldImage, row: RowImage): void {
    this.#events.change('update');
    if (this.#isNamed(relation)) this.#parts.router.update(relation, old, oldImage, row);
  }

  delete(relation: StreamRelation, old: RowImage, oldImage: OldImage): void {
    this.#events.change('delete');
    if (this.#isNamed(relation)) this.#parts.router.delete(relation, old, oldImage);
  }

  truncate(relations: readonly StreamRelation[]): void {
    this.#events.change('truncate');
    for (const relation of relations) this.#wholeTables(this.#lookupOf(relation));
  }

  message(transactional: boolean, messageLsn: Lsn, prefix: string, content: Uint8Array): void {
    if (prefix === EPOCH_MARK_PREFIX) return this.#epochMark(utf8(content));
    if (prefix !== MESSAGE_PREFIX) return;
    this.#events.change('message');
    if (transactional) return this.#applyMessage(content);
    // Outside a transaction there is no commit record: the message's own place stands for one. It is visible at once.
    this.begin(lsn(messageLsn - 1n), this.#clockMs, 0);
    this.#applyMessage(content);
    this.#end(messageLsn);
  }

  commit(_commitLsn: Lsn, endLsn: Lsn, committedAtMs: number): void {
    this.#clockMs = Math.max(this.#clockMs, committedAtMs);
    this.#parts.settle.decoded(this.#xid, endLsn);
    this.#end(endLsn);
    this.#events.transaction();
  }

  keepalive(walEnd: Lsn, serverTimeMs: number): void {
    this.#received = lsnMax(this.#received, walEnd);
    this.#clockMs = Math.max(this.#clockMs, serverTimeMs);
    if (!this.#parts.batcher.idleThrough(walEnd)) return;
    this.#parts.settle.decodedThrough(walEnd);
    this.#events.progress();
  }

  #end(endLsn: Lsn): void {
    this.#received = lsnMax(this.#received, endLsn);
    this.#parts.batcher.commit(endLsn);
    this.#parts.settle.decodedThrough(endLsn);
    this.#events.progress();
  }

  #epochMark(content: string): void {
    const mark = parseEpochMark(content);
    if (mark !== undefined) this.#events.epochMark(mark);
  }

  #define(relation: StreamRelation, describedAt: Lsn, isOlder: boolean): Lookup {
    const lookup = this.#parts.directory.lookup(relation, isOlder);
    this.#relations.set(relation.id, { relation, lookup, describedAt });
    if (lookup.kind === 'named') this.#parts.router.define(relation, lookup.ruleTable);
    return lookup;
  }

  #lookupOf(relation: StreamRelation): Lookup {
    return this.#relations.get(relation.id)?.lookup ?? this.#define(relation, this.#commitLsn, true);
  }

  /** Whether the row can be routed. If not, it is widened here to all that it may feed. */
  #isNamed(relation: StreamRelation): boolean {
    const lookup = this.#lookupOf(relation);
    if (lookup.kind === 'maybe') this.#wholeTables(lookup);
    return lookup.kind === 'named';
  }

  #wholeTables(lookup: Lookup): void {
    if (lookup.kind === 'named') this.#parts.router.wholeTable(lookup.ruleTable);
    if (lookup.kind === 'maybe') for (const table of lookup.ruleTables) this.#parts.router.wholeTable(table);
  }

  #applyMessage(content: Uint8Array): void {
    const meaning = this.#parts.readMessage(utf8(content));
    for (const fault of meaning.faults) this.#events.messageFault(fault);
    if (meaning.everything) this.#parts.router.everything();
    for (const item of meaning.items) this.#parts.collector.add(item);
    for (const table of meaning.tables) this.#wholeTables(this.#parts.directory.lookupName(table));
  }
}

/**
 * The content is in the database's encoding: unlike rows, nobody converts it. What is not UTF-8 would name other keys than it means, so
 * it reads as nothing, which widens.
 */
function utf8(content: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch {
    return '';
  }
}
