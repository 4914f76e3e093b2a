import type { ChangeSink, OldKind, Relation } from '../../src/drivers/postgres/pgoutput/messages.ts';
import type { Tuple } from '../../src/drivers/postgres/pgoutput/tuple.ts';
import type { Row } from './pgoutput-encoder.ts';

/** What the decoder told its sink, kept: rows are copied out of their views. */
export type DecodedCall =
  | { readonly call: 'begin'; readonly commitLsn: bigint; readonly committedAtMs: number; readonly xid: number }
  | { readonly call: 'relation'; readonly relation: Relation }
  | { readonly call: 'insert'; readonly table: string; readonly row: Row }
  | {
      readonly call: 'update';
      readonly table: string;
      readonly old: Row | null;
      readonly oldKind: OldKind;
      readonly row: Row;
    }
  | { readonly call: 'delete'; readonly table: string; readonly old: Row; readonly oldKind: 'key' | 'full' }
  | {
      readonly call: 'truncate';
      readonly tables: readonly string[];
      readonly cascade: boolean;
      readonly restartIdentity: boolean;
    }
  | {
      readonly call: 'message';
      readonly transactional: boolean;
      readonly messageLsn: bigint;
      readonly prefix: string;
      readonly content: string;
    }
  | { readonly call: 'commit'; readonly commitLsn: bigint; readonly endLsn: bigint; readonly committedAtMs: number };

/** A sink that hands each call on, as a value. */
export function callSink(take: (call: DecodedCall) => void): ChangeSink {
  return {
    begin: (commitLsn, committedAtMs, xid) => take({ call: 'begin', commitLsn, committedAtMs, xid }),
    relation: (relation) => take({ call: 'relation', relation }),
    insert: (relation, row) => take({ call: 'insert', table: nameOf(relation), row: rowOf(row) }),
    update: (relation, old, oldKind, row) =>
      take({ call: 'update', table: nameOf(relation), old: old && rowOf(old), oldKind, row: rowOf(row) }),
    delete: (relation, old, oldKind) => take({ call: 'delete', table: nameOf(relation), old: rowOf(old), oldKind }),
    truncate: (relations, cascade, restartIdentity) =>
      take({ call: 'truncate', tables: relations.map(nameOf), cascade, restartIdentity }),
    message: (transactional, messageLsn, prefix, content) =>
      take({ call: 'message', transactional, messageLsn, prefix, content: content.toString() }),
    commit: (commitLsn, endLsn, committedAtMs) => take({ call: 'commit', commitLsn, endLsn, committedAtMs }),
  };
}

function nameOf(relation: Relation): string {
  return `${relation.schema}.${relation.name}`;
}

function rowOf(tuple: Tuple): Row {
  return Array.from({ length: tuple.columnCount }, (_, column) => {
    const kind = tuple.kind(column);
    return kind === 'text' ? tuple.text(column) : kind === 'null' ? null : undefined;
  });
}
