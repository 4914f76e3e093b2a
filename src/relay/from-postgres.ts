import type { Lsn } from '../protocol/lsn.ts';
import type { Snapshot } from '../protocol/snapshot.ts';
import type { SourceLife } from '../protocol/source-epoch.ts';
import type { Directory } from './relation-directory.ts';

/** A relation as the stream describes it; sent anew after each ALTER TABLE. */
export interface StreamRelation {
  /** The OID of the table, which a rename keeps. */
  readonly id: number;
  readonly schema: string;
  readonly name: string;
  readonly replicaIdentity: 'default' | 'nothing' | 'full' | 'index';
  readonly columns: readonly { readonly name: string; readonly typeOid: number; readonly partOfIdentity: boolean }[];
}

/** A row image: a view that is good only during the call that passes it. */
export interface RowImage {
  /** `unchanged` is a TOASTed value that the update did not touch: unknown, not null. */
  kind(column: number): 'null' | 'unchanged' | 'text';
  text(column: number): string;
}

/** What `old` holds: nothing (the identity did not change), the identity's columns alone, or the whole row. */
export type OldImage = 'none' | 'key' | 'full';

/** Takes the decoded stream, call by call, in the stream's order. Rows stand between `begin` and `commit`. */
export interface ChangeSink {
  begin(commitLsn: Lsn, committedAtMs: number, xid: number): void;
  relation(relation: StreamRelation): void;
  insert(relation: StreamRelation, row: RowImage): void;
  update(relation: StreamRelation, old: RowImage | null, oldImage: OldImage, row: RowImage): void;
  delete(relation: StreamRelation, old: RowImage, oldImage: OldImage): void;
  truncate(relations: readonly StreamRelation[]): void;
  message(transactional: boolean, messageLsn: Lsn, prefix: string, content: Uint8Array): void;
  commit(commitLsn: Lsn, endLsn: Lsn, committedAtMs: number): void;
}

/** What the stream says beside the changes. */
export interface StreamSink extends ChangeSink {
  /** Everything that ends at or below `walEnd` has been sent, if this stands outside BEGIN..COMMIT. */
  keepalive(walEnd: Lsn, serverTimeMs: number): void;
}

/** What one statement says of the source's clock and log. */
export interface SourceLook {
  /** When it was asked, by the clock of Postgres, Unix time in milliseconds: before the rest was looked at. */
  readonly askedAtMs: number;
  /** Up to where the log was flushed: every commit that was acknowledged as durable before `askedAtMs` ends at or below. */
  readonly flushedLsn: Lsn;
}

/**
 * The source database, as the relay needs it. One stream at a time holds the slot:
 *
 *     open        throws POSTGRES_SLOT_ACTIVE while another relay holds the slot; that relay vanishes within wal_sender_timeout
 *     confirmed   read after the slot is ours, so no other relay moves it any more
 *     start       from here the sink is called, from within the socket's events; it must not wait
 *     confirm     remembered, and sent to Postgres on its own timer, on request, and on progress
 *     ended       'clean' if the server ended the copy in order (a shutdown), 'closed' after stop(); rejects with a coded error otherwise
 *     crashes     how often a connection of this process was told, by SQLSTATE 57P02, that the server crashed. One crash may count twice
 */
export interface Source {
  readonly crashes: number;
  open(signal: AbortSignal): Promise<SourceStream>;
  /** Takes a snapshot by SQL, on another connection than the stream's. */
  snapshot(): Promise<Snapshot>;
  /** Looks at clock and log, on that connection. */
  look(): Promise<SourceLook>;
  /** Allocates a transaction id, which makes every transaction that may still be invisible older than it. */
  allocateXid(): Promise<bigint>;
  /** Notes in the source's log, durably, that an epoch of this number has been drawn: it comes in the stream as a message. */
  markEpoch(number: number): Promise<void>;
  /** The tables of the rules and all their partitions, and what else is published, as the catalog has them now. */
  directory(): Promise<Directory>;
  close(): Promise<void>;
}

export interface SourceStream {
  readonly life: SourceLife;
  /** What the slot had confirmed when this stream took it: an end LSN. */
  readonly confirmedLsn: Lsn;
  start(sink: StreamSink): void;
  pause(): void;
  resume(): void;
  confirm(received: Lsn, flush: Lsn): void;
  /** Asks the server for a keepalive, so that an idle source still tells how far its log is decoded. */
  requestKeepalive(): void;
  readonly ended: Promise<'clean' | 'closed'>;
  stop(): Promise<void>;
}
