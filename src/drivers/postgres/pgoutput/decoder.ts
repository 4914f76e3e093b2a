import type { Lsn } from '../../../protocol/lsn.ts';
import { Cursor } from './cursor.ts';
import { type ChangeSink, ImageTag, MessageTag, type Relation } from './messages.ts';
import { Relations } from './relations.ts';
import { Tuple } from './tuple.ts';

const TRUNCATE_CASCADE = 1;
const TRUNCATE_RESTART_IDENTITY = 2;

/**
 * Decodes pgoutput, protocol version 1, message by message as they come; a transaction is never held. It allocates next to nothing for
 * a row: images are views that are reused.
 *
 * Whatever does not follow the protocol throws `PGOUTPUT_MALFORMED`; then the connection is over and so is its decoder. Errors of the
 * sink pass through.
 */
export class PgoutputDecoder {
  readonly #sink: ChangeSink;
  readonly #cursor = new Cursor();
  readonly #relations = new Relations();
  readonly #old = new Tuple();
  readonly #row = new Tuple();
  /** The commit LSN of the transaction whose rows stand here, or undefined between transactions. */
  #commitLsn: Lsn | undefined;

  constructor(sink: ChangeSink) {
    this.#sink = sink;
  }

  /** Decodes one message: the payload of one XLogData. The bytes are read during the call only. */
  decode(bytes: Buffer, start = 0, end = bytes.length): void {
    const cursor = this.#cursor;
    cursor.open(bytes, start, end);
    switch (cursor.uint8('a message')) {
      case MessageTag.insert:
        return this.#insert();
      case MessageTag.update:
        return this.#update();
      case MessageTag.delete:
        return this.#delete();
      case MessageTag.begin:
        return this.#begin();
      case MessageTag.commit:
        return this.#commit();
      case MessageTag.relation:
        return this.#sink.relation(this.#relations.read(cursor));
      case MessageTag.truncate:
        return this.#truncate();
      case MessageTag.message:
        return this.#message();
      case MessageTag.origin:
      case MessageTag.type:
        return undefined;
      default:
        throw cursor.malformed('one of the messages B, C, O, R, Y, I, U, D, T or M', start);
    }
  }

  #begin(): void {
    const cursor = this.#cursor;
    if (this.#commitLsn !== undefined) throw cursor.malformed('the end of the transaction before another begins');
    const commitLsn = cursor.lsn('the commit LSN');
    const committedAtMs = cursor.timestampMs('the time of the commit');
    const xid = cursor.uint32('a transaction id');
    cursor.finish();
    this.#commitLsn = commitLsn;
    this.#sink.begin(commitLsn, committedAtMs, xid);
  }

  #commit(): void {
    const cursor = this.#cursor;
    cursor.uint8('flags');
    const commitLsn = cursor.lsn('the commit LSN');
    if (commitLsn !== this.#commitLsn) throw cursor.malformed('the commit LSN that the transaction began with');
    const endLsn = cursor.lsn('the end LSN');
    if (endLsn <= commitLsn) throw cursor.malformed('an end LSN above the commit LSN');
    const committedAtMs = cursor.timestampMs('the time of the commit');
    cursor.finish();
    this.#commitLsn = undefined;
    this.#sink.commit(commitLsn, endLsn, committedAtMs);
  }

  #insert(): void {
    const cursor = this.#cursor;
    const relation = this.#relation();
    if (cursor.uint8('a row') !== ImageTag.row) throw cursor.malformed('a new row, N', cursor.at - 1);
    this.#row.read(cursor, relation.columns.length);
    cursor.finish();
    this.#sink.insert(relation, this.#row);
  }

  #update(): void {
    const cursor = this.#cursor;
    const relation = this.#relation();
    const image = cursor.uint8('a row');
    if (image === ImageTag.row) {
      this.#row.read(cursor, relation.columns.length);
      cursor.finish();
      return this.#sink.update(relation, null, 'none', this.#row);
    }
    const oldKind = this.#oldImage(image, relation);
    if (cursor.uint8('a row') !== ImageTag.row) throw cursor.malformed('a new row, N', cursor.at - 1);
    this.#row.read(cursor, relation.columns.length);
    cursor.finish();
    this.#sink.update(relation, this.#old, oldKind, this.#row);
  }

  #delete(): void {
    const cursor = this.#cursor;
    const relation = this.#relation();
    const oldKind = this.#oldImage(cursor.uint8('a row'), relation);
    cursor.finish();
    this.#sink.delete(relation, this.#old, oldKind);
  }

  #oldImage(image: number, relation: Relation): 'key' | 'full' {
    const cursor = this.#cursor;
    if (image !== ImageTag.key && image !== ImageTag.full) throw cursor.malformed('an old row, K or O', cursor.at - 1);
    this.#old.read(cursor, relation.columns.length);
    return image === ImageTag.key ? 'key' : 'full';
  }

  #truncate(): void {
    const cursor = this.#cursor;
    this.#needTransaction();
    const count = cursor.uint32('a count of relations');
    const options = cursor.uint8('the options of TRUNCATE');
    if (count * 4 !== cursor.end - cursor.at) throw cursor.malformed(`the ids of ${count} relations and the end`);
    const relations: Relation[] = [];
    for (let i = 0; i < count; i += 1) relations.push(this.#knownRelation());
    const cascade = (options & TRUNCATE_CASCADE) !== 0;
    this.#sink.truncate(relations, cascade, (options & TRUNCATE_RESTART_IDENTITY) !== 0);
  }

  #message(): void {
    const cursor = this.#cursor;
    const transactional = (cursor.uint8('flags') & 1) === 1;
    if (transactional) this.#needTransaction();
    else if (this.#commitLsn !== undefined)
      throw cursor.malformed('the end of the transaction before a message outside it');
    const messageLsn = cursor.lsn('the LSN of the message');
    const prefix = cursor.text('a prefix');
    const length = cursor.uint32('the length of the content');
    const from = cursor.take(length, `a content of ${length} bytes`);
    cursor.finish();
    this.#sink.message(transactional, messageLsn, prefix, cursor.bytes.subarray(from, from + length));
  }

  #relation(): Relation {
    this.#needTransaction();
    return this.#knownRelation();
  }

  #knownRelation(): Relation {
    const cursor = this.#cursor;
    const id = cursor.uint32('the id of a relation');
    const relation = this.#relations.find(id);
    if (relation === undefined) throw cursor.malformed(`a relation described before, and not ${id}`, cursor.at - 4);
    return relation;
  }

  #needTransaction(): void {
    if (this.#commitLsn === undefined) throw this.#cursor.malformed('a transaction around the message');
  }
}
