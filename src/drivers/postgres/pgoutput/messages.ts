import type { Lsn } from '../../../protocol/lsn.ts';
import type { Tuple } from './tuple.ts';

export interface Column {
  readonly name: string;
  /** The OID of the type in `pg_type`. */
  readonly typeOid: number;
  readonly typeModifier: number;
  /** Whether the replica identity holds it. With identity FULL every column is marked so. */
  readonly partOfIdentity: boolean;
}

/** A table as the stream describes it before its first row, and again after each ALTER TABLE. Only published columns are listed. */
export interface Relation {
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly Column[];
}

/**
 * What the old image of an update holds: the identity's columns alone, the whole row, or nothing because the identity kept its value.
 * In a `key` image every other column says null, and means nothing.
 */
export type OldKind = 'key' | 'full' | 'none';

/**
 * Takes the stream of decoded messages, in the stream's order, from within `PgoutputDecoder.decode`. Rows and messages' contents are
 * views that are good during the call only.
 */
export interface ChangeSink {
  /** `xid` has the 32 bits of the message. `committedAtMs` is Unix time by the server's clock. */
  begin(commitLsn: Lsn, committedAtMs: number, xid: number): void;
  relation(relation: Relation): void;
  insert(relation: Relation, row: Tuple): void;
  update(relation: Relation, old: Tuple | null, oldKind: OldKind, row: Tuple): void;
  delete(relation: Relation, old: Tuple, oldKind: 'key' | 'full'): void;
  truncate(relations: readonly Relation[], cascade: boolean, restartIdentity: boolean): void;
  /** A transactional one stands inside BEGIN..COMMIT, any other between transactions. */
  message(transactional: boolean, messageLsn: Lsn, prefix: string, content: Buffer): void;
  commit(commitLsn: Lsn, endLsn: Lsn, committedAtMs: number): void;
}

/** First byte of each message of protocol version 1: "Logical Replication Message Formats" in Postgres's manual. */
export const MessageTag = {
  begin: 0x42, // B
  commit: 0x43, // C
  origin: 0x4f, // O
  relation: 0x52, // R
  type: 0x59, // Y
  insert: 0x49, // I
  update: 0x55, // U
  delete: 0x44, // D
  truncate: 0x54, // T
  message: 0x4d, // M
} as const;

/** First byte of a row image inside a message. */
export const ImageTag = {
  key: 0x4b, // K
  full: 0x4f, // O
  row: 0x4e, // N
} as const;
